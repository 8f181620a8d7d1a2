import { ToolFailure } from "../../shared/failure.ts";
import type { Executor } from "../session/owned-session.ts";
import { fileFacts } from "../transfer/file-reader.ts";
import { listFiles } from "./files.ts";

/** Text up to this size comes along with an artifact's link. */
const INLINE_BYTES = 16 * 1024;
const DEPTH = 20;

interface Entry {
  path: string;
  type: string;
  size_bytes: number;
}

export const listArtifacts: Executor = async (args, context) => {
  const { path, limit } = args as { path: string; limit: number };
  const asked = { path, glob: "**", depth: DEPTH, include_hidden: false, respect_gitignore: true, limit };
  const { entries, truncated } = await listFiles(asked, context);
  const files = (entries as Entry[]).filter(({ type }) => type === "file");
  return {
    session_id: context.workspace.id,
    artifacts: files.map(({ path: file, size_bytes }) => ({ path: file, size_bytes })),
    truncated,
  };
};

export const getArtifact: Executor = async (args, { workspace }) => {
  const { path } = args as { path: string };
  const sandbox = await workspace.sandbox();
  const { sizeBytes, mime } = await fileFacts(sandbox, path);
  const size = Number(sizeBytes);
  const isShown = size <= INLINE_BYTES && mime.startsWith("text/");
  const part = isShown ? await sandbox.readPart({ path, offset: 0n, length: INLINE_BYTES, version: "" }) : undefined;
  const facts = { session_id: workspace.id, path, size_bytes: size, mime };
  return part ? { ...facts, content: Buffer.from(part.data).toString() } : facts;
};

/** Whether the path can take a file is said now, not when somebody has sent a gigabyte. */
export const putArtifact: Executor = async (args, { workspace }) => {
  const { path } = args as { path: string };
  const sandbox = await workspace.sandbox();
  try {
    await fileFacts(sandbox, path);
  } catch (error) {
    if (!(error instanceof ToolFailure && error.code === "NOT_FOUND")) throw error;
  }
  return { session_id: workspace.id, path };
};
