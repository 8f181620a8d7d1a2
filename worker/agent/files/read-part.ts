import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, readSync } from "node:fs";
import type { FilePart, ReadPart } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import { mimeType } from "./mime-type.ts";
import { openRegular } from "./scan-file.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const PART_MAX_BYTES = 1024 * 1024;
const HEAD_BYTES = 512;
/** A character that the head's end cuts in two. */
const CUT_MAX_BYTES = 3;

/** A stretch of a file of any size; whoever reads on names the version that the first part came from. */
export const readPart = (
  paths: WorkspacePaths,
  { path, offset, length, version }: ReadPart,
): Pick<FilePart, "data" | "sizeBytes" | "version" | "mime"> => {
  const action = `Cannot read "${path}"`;
  const { fd } = openRegular(paths.existing(path, action), action);
  try {
    const { ino, size, mtimeNs } = fstatSync(fd, { bigint: true });
    const present = `${ino}-${size}-${mtimeNs}`;
    if (version !== "" && version !== present)
      throw new AgentFailure("STALE_FILE", `${action}: it was changed while it was read`);
    const head = read(fd, 0, HEAD_BYTES);
    const data = read(fd, Number(offset), Math.min(length, PART_MAX_BYTES));
    return { data, sizeBytes: size, version: present, mime: mimeType(head, isText(head)) };
  } catch (error) {
    throw fromSystemError(error, action);
  } finally {
    closeSync(fd);
  }
};

const read = (fd: number, offset: number, length: number): Buffer => {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const bytes = readSync(fd, buffer, filled, length - filled, offset + filled);
    if (bytes === 0) break;
    filled += bytes;
  }
  return buffer.subarray(0, filled);
};

const isText = (head: Buffer): boolean => {
  if (head.includes(0)) return false;
  if (head.length < HEAD_BYTES) return isUtf8(head);
  return [0, 1, 2, CUT_MAX_BYTES].some((cut) => isUtf8(head.subarray(0, head.length - cut)));
};
