import { createHash } from "node:crypto";
import { copyFile, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { aptFiles, type HostApt } from "./host-apt.ts";
import { fetchPackage } from "./npm-packages.ts";

const IMAGES = "worker/images";
const PINS = `${IMAGES}/npm-packages.json`;
const COMMON = [`${IMAGES}/Dockerfile`, `${IMAGES}/dpkg-no-docs`, PINS];

/** What a change of which an image is built anew. Not the mirror it is fetched from, nor the way to the base. */
export const INPUTS = { python: COMMON, agent: [...COMMON, "worker/init/init.c"] } as const;
export type Target = keyof typeof INPUTS;

/** One hash over the target's inputs, names included. */
export async function hashInputs(target: Target): Promise<string> {
  const hash = createHash("sha256");
  for (const file of INPUTS[target])
    hash
      .update(`${file}\0`)
      .update(await readFile(file))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}

/** Lays the build context out in `folder`, which it empties first. `cache` keeps downloads between builds. */
export async function assembleContext(folder: string, cache: string, cpu: string, apt: HostApt): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await mkdir(cache, { recursive: true });
  const [node, npm] = await Promise.all([
    fetchPackage(PINS, `node-linux-${cpu}`, cache),
    fetchPackage(PINS, "npm", cache),
  ]);
  await link(node, join(folder, "node.tgz"));
  await link(npm, join(folder, "npm.tgz"));
  await copyFile(`${IMAGES}/Dockerfile`, join(folder, "Dockerfile"));
  await copyFile(`${IMAGES}/dpkg-no-docs`, join(folder, "dpkg-no-docs"));
  await copyFile("worker/init/init.c", join(folder, "init.c"));
  for (const [path, text] of aptFiles(apt)) {
    const file = join(folder, "apt", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
