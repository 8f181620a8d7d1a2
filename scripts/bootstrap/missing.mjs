import { existsSync, readFileSync } from "node:fs";
import { findEngine } from "./docker-engine.mjs";
import { packagesOfMissing } from "./extra-tools.mjs";
import { areNpmPackagesCurrent } from "./npm-install.mjs";
import { findProgram } from "./run-command.mjs";

/**
 * Looks at the machine and returns what has to be done:
 * `packages` to install with apt, those of the tools that SETUP_TOOLS lists included, `npm` and `startsEngine` as
 * booleans, and `problems` that this user cannot mend here.
 */
export async function findMissing(env) {
  const canInstall = process.platform === "linux" && process.getuid() === 0 && Boolean(findProgram("apt-get"));
  const packages = [];
  const problems = [];
  const engine = await findEngine(env);
  let startsEngine = false;

  if (!findProgram("redis-server")) {
    if (canInstall) packages.push("redis-server");
    else
      problems.push({
        what: "redis-server is not installed",
        how: advice("brew install redis", "apt-get install redis-server"),
      });
  }
  const extra = packagesOfMissing(env.SETUP_TOOLS ?? "");
  if (canInstall) packages.push(...extra);
  else if (extra.length > 0) {
    const what = extra.map((name) => `${name} is not installed`).join(", ");
    problems.push({ what, how: advice(`brew install ${extra.join(" ")}`, `apt-get install ${extra.join(" ")}`) });
  }
  if (engine.problem) {
    const hasDockerd = Boolean(findProgram("dockerd"));
    const mayStart = canInstall || (process.platform === "linux" && process.getuid() === 0 && hasDockerd);
    if (mayStart && !env.DOCKER_HOST) {
      startsEngine = true;
      // Beside docker-ce or any other dockerd Debian's must not be installed.
      if (!hasDockerd) packages.push("docker.io", "iptables", ...apparmor());
    } else {
      problems.push({ what: engine.problem, how: engineAdvice(env, engine) });
    }
  }
  return { packages, problems, startsEngine, engineHost: engine.host, npm: !areNpmPackagesCurrent() };
}

/** Where the kernel enforces AppArmor, dockerd needs its parser to start any container. */
function apparmor() {
  const flag = "/sys/module/apparmor/parameters/enabled";
  const isEnabled = existsSync(flag) && readFileSync(flag, "utf8").startsWith("Y");
  return isEnabled && !findProgram("apparmor_parser") ? ["apparmor"] : [];
}

function engineAdvice(env, { isDenied }) {
  if (env.DOCKER_HOST) return "start that engine or unset DOCKER_HOST";
  if (isDenied) return `run "sudo usermod -aG docker $USER" and log in again`;
  return advice(
    "start Docker Desktop, https://docs.docker.com/desktop",
    "apt-get install docker.io, or https://docs.docker.com/engine/install",
  );
}

const advice = (onMac, onLinux) => (process.platform === "darwin" ? onMac : `as root: ${onLinux}`);
