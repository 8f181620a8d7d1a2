import type { FilePart } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

const PART_BYTES = 1024 * 1024;

/** What a file is before it is read, asked of the agent. */
export const fileFacts = async (sandbox: Sandbox, path: string): Promise<FilePart> =>
  await sandbox.readPart({ path, offset: 0n, length: 0, version: "" });

/** The bytes from `start` to `end` (both counted in). @throws {ToolFailure} STALE_FILE when the file changes meanwhile */
export async function* readRange(
  sandbox: Sandbox,
  file: { path: string; version: string },
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  for (let offset = start; offset <= end; ) {
    const length = Math.min(PART_BYTES, end - offset + 1);
    const { data } = await sandbox.readPart({ ...file, offset: BigInt(offset), length });
    if (data.length === 0) return;
    yield data;
    offset += data.length;
  }
}
