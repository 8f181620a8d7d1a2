import type Docker from "dockerode";
import { followEvents } from "./engine-events.ts";

/** Holds the hash of what the image was built from. */
export const INPUTS_LABEL = "codegen-mcp.inputs";

const PROXY_NAMES = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

export interface ImageBuild {
  /** A stage of the context's Dockerfile. */
  target: string;
  tag: string;
  base: string;
  inputs: string;
  contextFolder: string;
}

/** What stands under this name now: its id and the hash that it was built from. Undefined where there is no image. */
export async function findBuilt(docker: Docker, tag: string): Promise<{ id: string; inputs?: string } | undefined> {
  try {
    const { Id, Config } = await docker.getImage(tag).inspect();
    const inputs = Config.Labels?.[INPUTS_LABEL];
    return { id: Id, ...(inputs ? { inputs } : {}) };
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

/**
 * Builds one target with the classic builder, which every engine since 20.10 has and which needs no docker client.
 * @throws with the end of the build's own output
 */
export async function buildImage(
  docker: Docker,
  build: ImageBuild,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
) {
  const proxies = PROXY_NAMES.flatMap((name) => (env[name] ? [[name, env[name]]] : []));
  const stream = await docker.buildImage(
    { context: build.contextFolder, src: ["."] },
    {
      t: build.tag,
      target: build.target,
      rm: true,
      forcerm: true,
      // The host's own network: whatever way this host has to its mirrors, the build has too.
      networkmode: "host",
      buildargs: { BASE: build.base, ...Object.fromEntries(proxies) },
      labels: { [INPUTS_LABEL]: build.inputs },
    },
  );
  let log = "";
  try {
    await followEvents(stream, ({ stream: text = "" }) => {
      log = (log + text).slice(-4_000);
      if (/^Step \d+\/\d+ : (FROM|RUN|ADD)/.test(text)) say(`${build.target}: ${text.split("\n")[0]!.slice(0, 100)}`);
    });
  } catch (error) {
    throw new Error(`Cannot build ${build.tag}: ${(error as Error).message}\n${log}`, { cause: error });
  }
}

/** Removes the image that a build replaced, unless a container still has it; the layers that builds share stay. */
export async function removeReplaced(docker: Docker, id: string): Promise<void> {
  await docker
    .getImage(id)
    .remove({ noprune: true })
    .catch(() => {});
}
