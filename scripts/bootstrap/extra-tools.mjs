import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { findProgram } from "./run-command.mjs";

/** What single suites need beyond the usual, by the names that SETUP_TOOLS may list: how it is found, and Debian's package. */
const TOOLS = {
  compose: {
    isThere: () => hasComposePlugin() || Boolean(findProgram("docker-compose")),
    packages: ["docker-compose"],
  },
  faketime: { isThere: () => Boolean(findProgram("faketime")), packages: ["faketime"] },
  iproute: { isThere: () => Boolean(findProgram("ip")), packages: ["iproute2"] },
  nginx: { isThere: () => Boolean(findProgram("nginx")), packages: ["nginx"] },
  prometheus: {
    isThere: () => Boolean(findProgram("prometheus") && findProgram("promtool")),
    packages: ["prometheus"],
  },
  postgresql: { isThere: hasPostgres, packages: ["postgresql"] },
};

/**
 * The packages of those tools that are not on this machine yet.
 * @param names separated by blanks
 * @throws {Error} when one is not known
 */
export function packagesOfMissing(names) {
  return names
    .split(" ")
    .filter(Boolean)
    .flatMap((name) => {
      if (!Object.hasOwn(TOOLS, name)) throw new Error(`SETUP_TOOLS knows no "${name}"`);
      const { isThere, packages } = TOOLS[name];
      return isThere() ? [] : packages;
    });
}

function hasComposePlugin() {
  return spawnSync("docker", ["compose", "version"], { stdio: "ignore" }).status === 0;
}

/** Debian keeps a server's programs outside of PATH, in a folder of its version. */
function hasPostgres() {
  const root = "/usr/lib/postgresql";
  if (findProgram("initdb")) return true;
  return existsSync(root) && readdirSync(root).some((version) => existsSync(`${root}/${version}/bin/initdb`));
}
