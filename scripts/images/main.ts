import { readFileSync } from "node:fs";
import Docker from "dockerode";
import { ensureBase } from "./base-image.ts";
import { assembleContext, chooseTargets, hashInputs, type Target } from "./build-context.ts";
import { readHostApt } from "./host-apt.ts";
import { buildImage, findBuilt, removeReplaced } from "./image-build.ts";

const started = Date.now();
const say = (line: string) =>
  console.log(`[images] ${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${line}`);

const docker = new Docker();
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

try {
  const chosen = chooseTargets(process.argv.slice(2));
  await docker.ping();
  const stale: { target: Target; tag: string; inputs: string; oldId: string | undefined }[] = [];
  for (const target of chosen) {
    const tag = `codegen-mcp/${target}:${version}`;
    const inputs = await hashInputs(target);
    const built = await findBuilt(docker, tag);
    if (built?.inputs === inputs) say(`${tag} is up to date`);
    else stale.push({ target, tag, inputs, oldId: built?.id });
  }

  if (stale.length > 0) {
    const apt = readHostApt(process.env);
    const { Architecture } = await docker.info();
    const cpu = /^(aarch64|arm64)$/.test(Architecture) ? "arm64" : "x64";
    const contextFolder = ".data/images/context";
    const [base] = await Promise.all([
      ensureBase(docker, apt, say),
      assembleContext(contextFolder, {
        cache: ".data/images/cache",
        cpu,
        apt,
        targets: stale.map(({ target }) => target),
      }),
    ]);
    for (const { target, tag, inputs, oldId } of stale) {
      say(`building ${tag}`);
      await buildImage(docker, { target, tag, base, inputs, contextFolder }, process.env, say);
      const { Id, Size } = await docker.getImage(tag).inspect();
      say(`built ${tag}, ${Math.round(Size / 1e6)} MB`);
      if (oldId && oldId !== Id) await removeReplaced(docker, oldId);
    }
  }
} catch (error) {
  console.error(`[images] ${(error as Error).message}`);
  process.exitCode = 1;
}
