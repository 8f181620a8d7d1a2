import { startEngine } from "./docker-engine.mjs";
import { findMissing } from "./missing.mjs";
import { installNpmPackages } from "./npm-install.mjs";
import { findProgram, runCommand } from "./run-command.mjs";
import { mayGoOn, SetupFailure, say } from "./say.mjs";
import { recordEngine } from "./started-engine.mjs";

const MIN_NODE = [20, 19];

/**
 * Makes this machine ready: Debian packages, npm packages, a Docker Engine that answers, the build, the sandbox images.
 * What is there already stays as it is. Returns the environment in which commands find all of it.
 * @throws {SetupFailure} naming what is missing and how to get it
 */
export async function setup({ assumeYes, keepsEngine, env }) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    throw new SetupFailure(
      `Node.js ${MIN_NODE.join(".")} or newer is needed, this is ${process.version}: https://nodejs.org`,
    );
  }
  const { packages, problems, startsEngine, npm, engineHost } = await findMissing(env);
  if (problems.length > 0) {
    const whats = problems.map(({ what }) => what).join(" and ");
    throw new SetupFailure(`Cannot go on: ${whats} (${problems.map(({ how }) => how).join("; ")}).`);
  }

  const plan = [
    ...(packages.length > 0
      ? [`install Debian packages: ${packages.join(", ")} (none of them started or enabled as a service)`]
      : []),
    ...(npm ? ["install the npm packages of package-lock.json into node_modules"] : []),
    ...(startsEngine ? ["start the Docker Engine, because none answers"] : []),
  ];
  if (plan.length > 0) {
    plan.push(
      "build, and make the sandbox images (with mmdebstrap from Debian's packages if their base cannot be pulled)",
    );
    say("This machine needs some things first:");
    for (const step of plan) say(`  - ${step}`);
    if (!(await mayGoOn({ assumeYes, env }))) throw new SetupFailure("Stopped: nothing was changed.");
  }

  if (packages.length > 0) await runCommand("scripts/install-packages", packages);
  if (npm) {
    say("installing npm packages");
    await installNpmPackages();
  }
  const ready = { ...env, PATH: `${process.cwd()}/node_modules/.bin:${withSystemFolders(env.PATH)}` };
  if (engineHost && engineHost !== "unix:///var/run/docker.sock") ready.DOCKER_HOST = engineHost;
  if (startsEngine) {
    const pid = await startEngine(findProgram("dockerd"), env);
    recordEngine(pid, { isKept: keepsEngine });
    say(`started the Docker Engine (pid ${pid}, log .data/dockerd.log)`);
  }
  await runCommand("scripts/build", [], ready);
  await runCommand("node", ["dist/scripts/images/main.js"], ready);
  return ready;
}

/** redis-server and dockerd may lie where a user's PATH does not look. */
function withSystemFolders(path = "/usr/bin:/bin") {
  const folders = path.split(":");
  return [...folders, ...["/usr/local/sbin", "/usr/sbin", "/sbin"].filter((folder) => !folders.includes(folder))].join(
    ":",
  );
}
