import { readFileSync } from "node:fs";
import Docker from "dockerode";
import { ensureBase, ensurePulled } from "./base-image.ts";
import { readHostApt } from "./host-apt.ts";
import { buildImage, findBuilt, removeReplaced } from "./image-build.ts";
import {
  assembleStackContext,
  EXTRA_TARGETS,
  hashStackInputs,
  STACK_TARGETS,
  type StackTarget,
} from "./stack-context.ts";

const CONTEXT = ".data/images/stack-context";
const started = Date.now();
const say = (line: string) =>
  console.log(`[stack] ${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${line}`);

const docker = new Docker();
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const tag = process.env.CODEGEN_MCP_TAG || version;
const asked = process.argv.slice(2);
const extra = EXTRA_TARGETS.filter((target) => asked.includes(target));
if (extra.length < asked.length) {
  console.error(`What may be asked for besides: ${EXTRA_TARGETS.join(", ")}`);
  process.exit(2);
}

try {
  await docker.ping();
  const stale: { target: StackTarget; image: string; inputs: string; oldId: string | undefined }[] = [];
  for (const target of [...STACK_TARGETS, ...extra]) {
    const image = `codegen-mcp/${target}:${tag}`;
    const inputs = await hashStackInputs(target);
    const built = await findBuilt(docker, image);
    if (built?.inputs === inputs) say(`${image} is up to date`);
    else stale.push({ target, image, inputs, oldId: built?.id });
  }
  if (stale.length > 0) {
    const apt = readHostApt(process.env);
    const { Architecture } = await docker.info();
    const cpu = /^(aarch64|arm64)$/.test(Architecture) ? "arm64" : "x64";
    const wanted = process.env.BASE_IMAGE;
    const base = wanted ? await ensurePulled(docker, wanted, say) : await ensureBase(docker, apt, say);
    await assembleStackContext(CONTEXT, { cache: ".data/images/cache", cpu, apt });
    for (const { target, image, inputs, oldId } of stale) {
      say(`building ${image}`);
      await buildImage(docker, { target, tag: image, base, inputs, contextFolder: CONTEXT }, process.env, say);
      const { Id, Size } = await docker.getImage(image).inspect();
      say(`built ${image}, ${Math.round(Size / 1e6)} MB`);
      if (oldId && oldId !== Id) await removeReplaced(docker, oldId);
    }
  }
} catch (error) {
  console.error(`[stack] ${(error as Error).message}`);
  process.exitCode = 1;
}
