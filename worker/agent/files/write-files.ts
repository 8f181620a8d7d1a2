import { createHash, randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { FileChange, WriteFile, WriteFiles } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import { hashFile } from "./scan-file.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const DEFAULT_MODE = 0o644;

type Change = Pick<FileChange, "path" | "content" | "mode" | "ifSha256" | "remove">;

/** A change that was checked, with what undoes the part of it that was done. */
interface Planned {
  action: string;
  target: string;
  /** Undefined: remove it. */
  content: Uint8Array | undefined;
  mode: number;
  exists: boolean;
}

export interface WriteResult {
  sizeBytes: bigint;
  sha256: string;
  created: boolean;
}

/** The real paths of what was written or removed. */
interface Written {
  targets: string[];
}

/** A reader sees the old content or the new, never a part: the new is written beside the old and takes its name. */
export const writeFile = async (paths: WorkspacePaths, request: WriteFile): Promise<WriteResult & Written> => {
  const planned = await plan(paths, { ...request, remove: false });
  commit([planned]);
  const sha256 = createHash("sha256").update(request.content).digest("hex");
  const sizeBytes = BigInt(request.content.length);
  return { sizeBytes, sha256, created: !planned.exists, targets: [planned.target] };
};

/** All of the changes or, when one is refused or fails, none of them. */
export const writeFiles = async (paths: WorkspacePaths, { changes }: WriteFiles): Promise<Written> => {
  const planned: Planned[] = [];
  for (const change of changes) planned.push(await plan(paths, change));
  commit(planned);
  return { targets: planned.map(({ target }) => target) };
};

const plan = async (paths: WorkspacePaths, { path, content, mode, ifSha256, remove }: Change): Promise<Planned> => {
  const action = `Cannot ${remove ? "remove" : "write"} "${path}"`;
  if (path === "" || path.endsWith("/")) throw new AgentFailure("NOT_A_FILE", `${action}: the path names a folder`);
  const target = remove ? paths.entry(path, action) : paths.target(path, action);
  if (paths.relative(target) === "") throw new AgentFailure("NOT_A_FILE", `${action}: the path names a folder`);
  const old = stat(target, action);
  if (old && !old.isFile()) throw new AgentFailure("NOT_A_FILE", `${action}: it is not a regular file`);
  if (remove && !old) throw new AgentFailure("NOT_FOUND", `${action}: there is no such file`);
  await checkHash(target, ifSha256, action);
  const newMode = mode || (old ? old.mode & 0o7777 : DEFAULT_MODE);
  return { action, target, content: remove ? undefined : content, mode: newMode, exists: old !== undefined };
};

const checkHash = async (target: string, expected: string, action: string): Promise<void> => {
  if (expected === "") return;
  const present = await hashFile(target, action);
  if ((present ?? "absent") === expected.toLowerCase()) return;
  const is = present ? `it has the hash ${present}` : "there is no such file";
  throw new AgentFailure("STALE_FILE", `${action}: ${is}, not what was expected (${expected}); read it again first`);
};

/** What takes time or space comes first: every new content stands beside its target before the first takes its name. */
const commit = (changes: readonly Planned[]): void => {
  const undo: (() => void)[] = [];
  const done: (() => void)[] = [];
  let action = "";
  try {
    const staged = changes.map((change) => {
      action = change.action;
      return change.content === undefined ? undefined : stage(change, change.content, undo);
    });
    for (const [i, change] of changes.entries()) {
      action = change.action;
      take(change, staged[i], changes.length > 1, { undo, done });
    }
  } catch (error) {
    for (const step of undo.reverse()) attempt(step);
    throw fromSystemError(error, action);
  }
  for (const step of done) attempt(step);
};

/** Writes the content beside its target; gives the temporary file's path. */
const stage = ({ target, exists, mode }: Planned, content: Uint8Array, undo: (() => void)[]): string => {
  if (exists) accessSync(target, constants.W_OK); // the rename alone would replace a read-only file
  const first = mkdirSync(dirname(target), { recursive: true });
  if (first) undo.push(() => removeFolders(dirname(target), first));
  const temporary = beside(target, "tmp");
  undo.push(() => rmSync(temporary, { force: true }));
  const fd = openSync(temporary, "wx", DEFAULT_MODE);
  try {
    for (let written = 0; written < content.length; ) written += writeSync(fd, content, written);
    fchmodSync(fd, mode & 0o7777);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return temporary;
};

/** Gives the target its new content, or removes it; with others to come, the old content is kept until they are done. */
const take = (
  { target, exists }: Planned,
  temporary: string | undefined,
  isOneOfMany: boolean,
  { undo, done }: { undo: (() => void)[]; done: (() => void)[] },
): void => {
  if (isOneOfMany && exists) {
    const kept = beside(target, "old");
    linkSync(target, kept);
    undo.push(() => {
      renameSync(kept, target);
      rmSync(kept, { force: true }); // a rename onto the same file does nothing
    });
    done.push(() => rmSync(kept, { force: true }));
  } else if (isOneOfMany) undo.push(() => rmSync(target, { force: true }));
  if (temporary) renameSync(temporary, target);
  else rmSync(target);
};

const beside = (target: string, kind: string): string =>
  join(dirname(target), `.codegen-${randomBytes(6).toString("hex")}.${kind}`);

const removeFolders = (last: string, first: string): void => {
  for (let folder = last; folder.length >= first.length; folder = dirname(folder)) rmdirSync(folder);
};

const attempt = (step: () => void): void => {
  try {
    step();
  } catch {
    // somebody else was there meanwhile: what can be put back is
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
