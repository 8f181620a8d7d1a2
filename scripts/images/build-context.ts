import { createHash } from "node:crypto";
import { copyFile, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { aptFiles, type HostApt } from "./host-apt.ts";
import { fetchPackage, installLocked } from "./npm-packages.ts";

const IMAGES = "worker/images";
const PINS = `${IMAGES}/npm-packages.json`;
const NODE_TOOLS = `${IMAGES}/node-tools`;
const INIT = "worker/init";
const INIT_SOURCES = [
  "init.c",
  "process.h",
  "request.h",
  "serve.c",
  "serve.h",
  "terminal.c",
  "terminal.h",
  "waiting-shell.c",
  "waiting-shell.h",
];
const COMMON = [`${IMAGES}/Dockerfile`, `${IMAGES}/dpkg-no-docs`, PINS];
const SANDBOX = [...COMMON, `${IMAGES}/clean-root`];
const WITH_NODE_TOOLS = [...SANDBOX, `${NODE_TOOLS}/package-lock.json`];

/** What a change of which an image is built anew. Not the mirror it is fetched from, nor the way to the base. */
export const INPUTS = {
  agent: [...COMMON, ...INIT_SOURCES.map((name) => `${INIT}/${name}`)],
  python: SANDBOX,
  node: WITH_NODE_TOOLS,
  polyglot: WITH_NODE_TOOLS,
} as const;
export type Target = keyof typeof INPUTS;
export const TARGETS = Object.keys(INPUTS) as Target[];
/** Without these no session runs. */
export const USUAL_TARGETS: readonly Target[] = ["agent", "python"];

/**
 * The targets that a command line names, those that no session can do without included.
 * @throws when a word names no image
 */
export function chooseTargets(words: string[]): Target[] {
  if (words.includes("all")) return TARGETS;
  const unknown = words.find((word) => !Object.hasOwn(INPUTS, word));
  if (unknown !== undefined)
    throw new Error(`There is no image "${unknown}"; name some of ${TARGETS.join(", ")}, or all`);
  return TARGETS.filter((target) => USUAL_TARGETS.includes(target) || words.includes(target));
}

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

/**
 * Lays the build context for `targets` out in `folder`, which it empties first. `cache` keeps downloads between builds.
 */
export async function assembleContext(
  folder: string,
  { cache, cpu, apt, targets }: { cache: string; cpu: "x64" | "arm64"; apt: HostApt; targets: Target[] },
): Promise<void> {
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
  await copyFile(`${IMAGES}/clean-root`, join(folder, "clean-root"));
  await mkdir(join(folder, "init"));
  for (const name of INIT_SOURCES) await copyFile(`${INIT}/${name}`, join(folder, "init", name));
  if (targets.some((target) => INPUTS[target] === WITH_NODE_TOOLS)) {
    await installLocked(NODE_TOOLS, join(folder, "node-tools"), cpu);
  }
  for (const [path, text] of aptFiles(apt)) {
    const file = join(folder, "apt", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
