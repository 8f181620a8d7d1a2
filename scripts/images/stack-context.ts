import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { aptFiles, type HostApt } from "./host-apt.ts";
import { fetchPackage, installLocked } from "./npm-packages.ts";

const FOLDER = "compose/images";
const PINS = "worker/images/npm-packages.json";
const SHARED = ["worker/images/dpkg-no-docs", "worker/images/clean-root"];
const APP = [`${FOLDER}/answers`, PINS, "package.json", "package-lock.json"];
/** Parts of dist/ that the processes, and the commands one may run beside them, consist of. */
const PARTS = ["coordinator", "worker", "shared", "proto", "scripts", "compose"];

/** The images of the stack, in the order of their Dockerfile, and those that are built on request only. */
export const STACK_TARGETS = ["coordinator", "worker", "redis", "haproxy"] as const;
export const EXTRA_TARGETS = ["prometheus"] as const;
export type StackTarget = (typeof STACK_TARGETS | typeof EXTRA_TARGETS)[number];

const isOurs = (target: StackTarget): boolean => target === "coordinator" || target === "worker";
const isShipped = (path: string): boolean => !/\.test\.js$|\.map$/.test(path);

/** One hash over what an image is made of, names included. */
export async function hashStackInputs(target: StackTarget): Promise<string> {
  const hash = createHash("sha256");
  const files = [`${FOLDER}/Dockerfile`, ...SHARED, ...(isOurs(target) ? [...APP, ...(await shippedFiles())] : [])];
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(await readFile(file))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}

async function shippedFiles(): Promise<string[]> {
  const lists = await Promise.all(
    PARTS.map(async (part) => {
      const entries = await readdir(join("dist", part), { recursive: true, withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    }),
  );
  return lists.flat().filter(isShipped).toSorted();
}

/** Lays the build context out in `folder`, which it empties first. `cache` keeps downloads between builds. */
export async function assembleStackContext(
  folder: string,
  { cache, cpu, apt }: { cache: string; cpu: "x64" | "arm64"; apt: HostApt },
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await mkdir(cache, { recursive: true });
  await link(await fetchPackage(PINS, `node-linux-${cpu}`, cache), join(folder, "node.tgz"));
  for (const file of [`${FOLDER}/Dockerfile`, `${FOLDER}/answers`, ...SHARED])
    await cp(file, join(folder, file.split("/").at(-1) ?? file));
  const modules = join(cache, "stack-modules");
  await installLocked(".", modules, cpu, { withDevelopment: false });
  // One file: an engine takes minutes for thousands of them.
  const tar = ["--create", "--file", join(folder, "app.tar"), "--owner=0", "--group=0"];
  await promisify(execFile)("tar", [...tar, ...(await shippedFiles()), "-C", modules, "package.json", "node_modules"]);
  for (const [path, text] of aptFiles(apt)) {
    const file = join(folder, "apt", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
