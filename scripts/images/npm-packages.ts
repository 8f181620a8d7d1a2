import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

type Pins = Record<string, { version: string; integrity: string }>;

/**
 * Fetches one pinned package as npm would, into `folder`, and returns the tarball's path. A tarball that is there is
 * kept; one whose hash is not the pinned one is refused.
 */
export async function fetchPackage(pinsFile: string, name: string, folder: string): Promise<string> {
  const pin = (JSON.parse(readFileSync(pinsFile, "utf8")) as Pins)[name];
  if (!pin) throw new Error(`Cannot fetch "${name}": ${pinsFile} does not pin it`);
  const file = join(folder, `${name}-${pin.version}.tgz`);
  if (existsSync(file) && (await integrityOf(file)) === pin.integrity) return file;

  const download = join(folder, `${name}.download`);
  await mkdir(download, { recursive: true });
  await promisify(execFile)("npm", ["pack", "--silent", "--ignore-scripts", `${name}@${pin.version}`], {
    cwd: download,
  });
  const fetched = join(download, `${name}-${pin.version}.tgz`);
  const integrity = await integrityOf(fetched);
  if (integrity !== pin.integrity) {
    throw new Error(`Cannot use ${name}@${pin.version}: its hash is ${integrity}, ${pinsFile} pins ${pin.integrity}`);
  }
  await rename(fetched, file);
  return file;
}

/**
 * Installs what `source`'s package-lock.json names into `folder`/node_modules, for Debian on `cpu` whatever this host is.
 * Hashes are the lock's; no package's script runs.
 */
export async function installLocked(
  source: string,
  folder: string,
  cpu: "x64" | "arm64",
  { withDevelopment = true } = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of ["package.json", "package-lock.json"]) await copyFile(join(source, name), join(folder, name));
  const platform = ["--os=linux", "--libc=glibc", `--cpu=${cpu}`];
  const which = withDevelopment ? "--include=dev" : "--omit=dev";
  const how = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund"];
  await promisify(execFile)("npm", ["ci", ...how, which, ...platform], { cwd: folder });
}

/** In npm's notation. */
async function integrityOf(file: string): Promise<string> {
  const hash = createHash("sha512");
  await pipeline(createReadStream(file), hash);
  return `sha512-${hash.digest("base64")}`;
}
