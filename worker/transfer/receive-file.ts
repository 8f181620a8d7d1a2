import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { FileWritten } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Executor } from "../session/owned-session.ts";
import { requestTo } from "./request-to.ts";

const PART_BYTES = 1024 * 1024;

interface ReceiveArguments {
  path: string;
  from: string;
  max_bytes: number;
}

/** Fetches an upload's body from the coordinator and writes it beside its target, whose name it takes when it is whole. */
export const receiveFile: Executor = async (args, { workspace, signal }) => {
  const { path, from, max_bytes: maxBytes } = args as unknown as ReceiveArguments;
  const sandbox = await workspace.sandbox();
  const upload = { path, uploadId: randomUUID() };
  try {
    const body = await fetchBody(from, signal);
    const { sizeBytes, sha256, created } = await writeAll(sandbox, upload, body, maxBytes);
    return { session_id: workspace.id, path, size_bytes: Number(sizeBytes), sha256, created };
  } catch (cause) {
    await sandbox.writePart({ ...upload, discard: true }).catch(() => {}); // it is dropped after a minute then
    if (cause instanceof ToolFailure) throw cause;
    throw new ToolFailure("CANCELLED", `The upload of "${path}" ended early; nothing was written`, { cause });
  }
};

const fetchBody = (from: string, signal: AbortSignal): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const asking = requestTo(from, { signal });
    asking.on("response", (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`the coordinator answered ${response.resume().statusCode}`));
    });
    asking.on("error", reject).end();
  });

const writeAll = async (
  sandbox: Sandbox,
  upload: { path: string; uploadId: string },
  body: IncomingMessage,
  maxBytes: number,
): Promise<FileWritten> => {
  let offset = 0;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const write = async (isLast: boolean): Promise<FileWritten> => {
    const data = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    const written = await sandbox.writePart({ ...upload, offset: BigInt(offset), data, isLast });
    offset += data.length;
    return written;
  };
  for await (const chunk of body as AsyncIterable<Buffer>) {
    pending.push(chunk);
    pendingBytes += chunk.length;
    if (offset + pendingBytes > maxBytes)
      throw new ToolFailure(
        "FILE_TOO_LARGE",
        `"${upload.path}" has more than ${maxBytes} bytes, the most of one upload`,
      );
    if (pendingBytes >= PART_BYTES) await write(false);
  }
  if (!body.complete) throw new Error("the upload was cut off");
  return await write(true);
};
