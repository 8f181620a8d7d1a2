import { readFileSync } from "node:fs";
import Docker from "dockerode";
import { ensureBase } from "./base-image.ts";
import { assembleContext, hashInputs, INPUTS, type Target } from "./build-context.ts";
import { readHostApt } from "./host-apt.ts";
import { buildImage, builtInputs } from "./image-build.ts";

const started = Date.now();
const say = (line: string) =>
  console.log(`[images] ${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${line}`);

const docker = new Docker();
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

try {
  await docker.ping();
  const stale: { target: Target; tag: string; inputs: string }[] = [];
  for (const target of Object.keys(INPUTS) as Target[]) {
    const tag = `codegen-mcp/${target}:${version}`;
    const inputs = await hashInputs(target);
    if ((await builtInputs(docker, tag)) === inputs) say(`${tag} is up to date`);
    else stale.push({ target, tag, inputs });
  }

  if (stale.length > 0) {
    const apt = readHostApt(process.env);
    const { Architecture } = await docker.info();
    const cpu = /^(aarch64|arm64)$/.test(Architecture) ? "arm64" : "x64";
    const contextFolder = ".data/images/context";
    const [base] = await Promise.all([
      ensureBase(docker, apt, say),
      assembleContext(contextFolder, ".data/images/cache", cpu, apt),
    ]);
    for (const { target, tag, inputs } of stale) {
      say(`building ${tag}`);
      await buildImage(docker, { target, tag, base, inputs, contextFolder }, process.env, say);
      const { Size } = await docker.getImage(tag).inspect();
      say(`built ${tag}, ${Math.round(Size / 1e6)} MB`);
    }
  }
} catch (error) {
  console.error(`[images] ${(error as Error).message}`);
  process.exitCode = 1;
}
