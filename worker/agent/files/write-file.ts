import { createHash, randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { WriteFile } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import { hashFile } from "./scan-file.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const DEFAULT_MODE = 0o644;

export interface WriteResult {
  sizeBytes: bigint;
  sha256: string;
  created: boolean;
}

/** A reader sees the old content or the new, never a part: the new is written beside the old and takes its name. */
export const writeFile = async (paths: WorkspacePaths, request: WriteFile): Promise<WriteResult> => {
  const action = `Cannot write "${request.path}"`;
  if (request.path === "" || request.path.endsWith("/"))
    throw new AgentFailure("NOT_A_FILE", `${action}: the path names a folder`);
  const target = paths.target(request.path, action);
  if (paths.relative(target) === "") throw new AgentFailure("NOT_A_FILE", `${action}: the path names a folder`);
  const old = stat(target, action);
  if (old && !old.isFile()) throw new AgentFailure("NOT_A_FILE", `${action}: it is not a regular file`);
  await checkHash(target, request.ifSha256, action);
  try {
    if (old) accessSync(target, constants.W_OK); // the rename alone would replace a read-only file
    mkdirSync(dirname(target), { recursive: true });
    replace(target, request.content, request.mode || (old ? old.mode & 0o7777 : DEFAULT_MODE));
  } catch (error) {
    throw fromSystemError(error, action);
  }
  const sha256 = createHash("sha256").update(request.content).digest("hex");
  return { sizeBytes: BigInt(request.content.length), sha256, created: !old };
};

const checkHash = async (target: string, expected: string, action: string): Promise<void> => {
  if (expected === "") return;
  const present = await hashFile(target, action);
  if ((present ?? "absent") === expected.toLowerCase()) return;
  const is = present ? `it has the hash ${present}` : "there is no such file";
  throw new AgentFailure("STALE_FILE", `${action}: ${is}, not what was expected (${expected}); read it again first`);
};

const replace = (target: string, content: Uint8Array, mode: number): void => {
  const temporary = join(dirname(target), `.codegen-${randomBytes(6).toString("hex")}.tmp`);
  const fd = openSync(temporary, "wx", DEFAULT_MODE);
  try {
    try {
      for (let written = 0; written < content.length; ) written += writeSync(fd, content, written);
      fchmodSync(fd, mode & 0o7777);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
};

const stat = (path: string, action: string): Stats | undefined => {
  try {
    return lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fromSystemError(error, action);
  }
};
