import { type Dirent, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ListFiles } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import { GitIgnore } from "./gitignore.ts";
import { compileGlob } from "./glob.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 20_000;
/** Entries looked at, whether they fit or not. */
const VISITED_MAX = 200_000;
const GITIGNORE_MAX_BYTES = 256 * 1024;

export interface ListedFile {
  path: string;
  type: "file" | "dir" | "symlink" | "other";
  sizeBytes: bigint;
  mtimeMs: bigint;
}

/** One folder on the way, with the ignore rules that reach into it: [folder relative to the workdir, its rules]. */
interface Level {
  folder: string;
  /** Relative to the folder that is listed. */
  prefix: string;
  depth: number;
  ignores: readonly (readonly [string, GitIgnore])[];
}

/** A folder's entries in the order of their names, each folder's own right after it. Symbolic links are not followed. */
export const listFiles = async (
  paths: WorkspacePaths,
  request: ListFiles,
): Promise<{ entries: ListedFile[]; truncated: boolean }> => {
  const action = `Cannot list "${request.path || "."}"`;
  const root = paths.existing(request.path, action);
  if (!statSync(root).isDirectory()) throw new AgentFailure("NOT_A_DIRECTORY", `${action}: it is not a folder`);
  const matches = request.glob === "" ? () => true : compileGlob(request.glob);
  const maxDepth = request.depth || 1;
  const limit = Math.min(request.limit || LIMIT_DEFAULT, LIMIT_MAX);
  const entries: ListedFile[] = [];
  let visited = 0;

  const walk = async (level: Level): Promise<boolean> => {
    for (const entry of readFolder(level.folder, action, level.depth === 1)) {
      if (++visited % 1000 === 0) await nextTurn(); // other requests come in between
      if (visited > VISITED_MAX) return false;
      if (!request.includeHidden && entry.name.startsWith(".")) continue;
      const full = join(level.folder, entry.name);
      const shown = paths.relative(full);
      const isFolder = entry.isDirectory();
      if (request.respectGitignore && (entry.name === ".git" || isIgnored(level.ignores, shown, isFolder))) continue;
      const inRoot = level.prefix + entry.name;
      if (matches(inRoot)) {
        if (entries.length >= limit) return false;
        const listed = describe(full, shown);
        if (listed) entries.push(listed);
      }
      if (!isFolder || level.depth >= maxDepth) continue;
      const ignores = request.respectGitignore ? withOwn(level.ignores, full, shown) : [];
      if (!(await walk({ folder: full, prefix: `${inRoot}/`, depth: level.depth + 1, ignores }))) return false;
    }
    return true;
  };
  const ignores = request.respectGitignore ? inherited(paths, root) : [];
  const isComplete = await walk({ folder: root, prefix: "", depth: 1, ignores });
  return { entries, truncated: !isComplete };
};

const readFolder = (folder: string, action: string, isRoot: boolean): Dirent[] => {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (isRoot) throw fromSystemError(error, action);
    return []; // it went away, or may not be read: its own entry is listed
  }
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

/** The rule files from the workdir down to the listed folder. */
const inherited = (paths: WorkspacePaths, root: string): Level["ignores"] => {
  const steps = paths.relative(root).split("/").filter(Boolean);
  let ignores: Level["ignores"] = [];
  for (let depth = 0; depth <= steps.length; depth++) {
    const shown = steps.slice(0, depth).join("/");
    ignores = withOwn(ignores, join(paths.root, shown), shown);
  }
  return ignores;
};

const withOwn = (ignores: Level["ignores"], folder: string, shown: string): Level["ignores"] => {
  try {
    const file = join(folder, ".gitignore");
    const stat = lstatSync(file);
    if (!stat.isFile() || stat.size > GITIGNORE_MAX_BYTES) return ignores;
    return [...ignores, [shown, new GitIgnore(readFileSync(file, "utf8"))]];
  } catch {
    return ignores;
  }
};

/** The innermost file that says anything decides. */
const isIgnored = (ignores: Level["ignores"], shown: string, isFolder: boolean): boolean => {
  for (const [folder, rules] of ignores.toReversed()) {
    const verdict = rules.isIgnored(folder === "" ? shown : shown.slice(folder.length + 1), isFolder);
    if (verdict !== undefined) return verdict;
  }
  return false;
};
