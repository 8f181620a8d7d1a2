import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ToolFailure } from "../../shared/failure.ts";
import { AGENT_FILE, type AgentFiles } from "./agent-files.ts";
import { CONTAINER_PATHS } from "./container-spec.ts";
import { type Engine, statusOf } from "./engine.ts";
import { tarOfFiles } from "./tar-of-files.ts";

export const AGENT_VOLUME_PREFIX = "codegen-mcp-agent-";
const WAIT_FOR_OTHER_MS = 30_000;
const POLL_MS = 200;

/**
 * Makes sure that the volume with init, node, the agent and its interpreters' programs exists and is whole, and gives its name. The name is a hash of
 * what is in it, so a new build gets a new one and running sandboxes keep theirs. All deployments of an engine share it;
 * the labels are those of whoever made it, and the sweeper removes it in that one's name when nobody mounts it any more.
 *
 * A container of the agent image is created, never started: Docker copies the image's files into the empty volume, the
 * files are added through the archive API. Its name is the lock between workers of one engine.
 */
export const ensureAgentVolume = async (
  engine: Engine,
  agentImage: string,
  files: AgentFiles,
  labels: Record<string, string> = {},
): Promise<string> => {
  const imageId = await engine.imageId(agentImage);
  const hash = createHash("sha256").update(imageId).update(tarOfFiles(files, 0o444)).digest("hex").slice(0, 16);
  const volume = `${AGENT_VOLUME_PREFIX}${hash}`;
  await engine.createVolume(volume, labels); // one that stands keeps its labels
  const helper = await createHelper(engine, agentImage, volume, labels);
  try {
    if (!(await engine.hasFile(helper, `${CONTAINER_PATHS.codegen}/${AGENT_FILE}`)))
      await engine.putArchive(helper, tarOfFiles(files, 0o444), CONTAINER_PATHS.codegen);
  } finally {
    await engine.remove(helper);
  }
  return volume;
};

const createHelper = async (
  engine: Engine,
  image: string,
  volume: string,
  labels: Record<string, string>,
): Promise<string> => {
  const name = `${volume}-fill`;
  const options = {
    name,
    Image: image,
    Labels: labels,
    NetworkDisabled: true,
    HostConfig: { Mounts: [{ Type: "volume" as const, Source: volume, Target: CONTAINER_PATHS.codegen }] },
  };
  for (const deadline = Date.now() + WAIT_FOR_OTHER_MS; ; ) {
    try {
      return await engine.create(options);
    } catch (error) {
      if (statusOf(error) !== 409) throw error;
    }
    await delay(POLL_MS); // another worker fills it
    if (Date.now() < deadline) continue;
    await engine.remove(name); // that worker died: take its place
    return await engine.create(options).catch((cause) => {
      throw new ToolFailure(
        "SANDBOX_UNAVAILABLE",
        `Cannot fill volume "${volume}": container "${name}" is in the way`,
        { cause },
      );
    });
  }
};
