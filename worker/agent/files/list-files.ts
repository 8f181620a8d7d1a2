import { lstatSync, statSync } from "node:fs";
import type { ListFiles } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure } from "../failure.ts";
import { compileGlob } from "./glob.ts";
import { FolderWalk } from "./walk-folder.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 20_000;
const VISITED_MAX = 200_000;

export interface ListedFile {
  path: string;
  type: "file" | "dir" | "symlink" | "other";
  sizeBytes: bigint;
  mtimeMs: bigint;
}

export const listFiles = async (
  paths: WorkspacePaths,
  request: ListFiles,
): Promise<{ entries: ListedFile[]; truncated: boolean }> => {
  const action = `Cannot list "${request.path || "."}"`;
  const root = paths.existing(request.path, action);
  if (!statSync(root).isDirectory()) throw new AgentFailure("NOT_A_DIRECTORY", `${action}: it is not a folder`);
  const matches = request.glob === "" ? () => true : compileGlob(request.glob);
  const limit = Math.min(request.limit || LIMIT_DEFAULT, LIMIT_MAX);
  const { includeHidden, respectGitignore } = request;
  const walk = new FolderWalk(paths, {
    ...{ action, includeHidden, respectGitignore },
    maxDepth: request.depth || 1,
    skip: new Set(),
    visitedMax: VISITED_MAX,
  });
  const entries: ListedFile[] = [];
  for await (const { full, path, inRoot } of walk.entries(root)) {
    if (!matches(inRoot)) continue;
    if (entries.length >= limit) return { entries, truncated: true };
    const listed = describe(full, path);
    if (listed) entries.push(listed);
  }
  return { entries, truncated: !walk.isComplete };
};

const describe = (full: string, path: string): ListedFile | undefined => {
  try {
    const stat = lstatSync(full);
    const type = stat.isFile() ? "file" : stat.isDirectory() ? "dir" : stat.isSymbolicLink() ? "symlink" : "other";
    return { path, type, sizeBytes: BigInt(stat.size), mtimeMs: BigInt(Math.max(0, Math.round(stat.mtimeMs))) };
  } catch {
    return undefined; // it has just been removed
  }
};
