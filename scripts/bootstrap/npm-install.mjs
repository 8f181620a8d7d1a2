import { existsSync, readFileSync } from "node:fs";
import { runCommand } from "./run-command.mjs";

/**
 * True when node_modules holds what package-lock.json names, by npm's own record of what it installed and by the
 * folders that are there. Packages for other platforms may be missing.
 */
export function areNpmPackagesCurrent(folder = ".") {
  const record = `${folder}/node_modules/.package-lock.json`;
  if (!existsSync(record)) return false;
  const wanted = readPackages(`${folder}/package-lock.json`);
  const installed = readPackages(record);
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === "" || optional || (installed[path]?.version === version && existsSync(`${folder}/${path}`)),
  );
}

/** Exactly what the lock file names, development tools too whatever NODE_ENV says. */
export const installNpmPackages = () => runCommand("npm", ["ci", "--include=dev", "--no-audit", "--no-fund"]);

const readPackages = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
