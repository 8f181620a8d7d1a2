import { type Dirent, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fromSystemError } from "../failure.ts";
import { GitIgnore } from "./gitignore.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const GITIGNORE_MAX_BYTES = 256 * 1024;

export interface WalkedEntry {
  /** Real path. */
  full: string;
  /** Relative to the workdir. */
  path: string;
  /** Relative to the folder that is walked. */
  inRoot: string;
  dirent: Dirent;
}

export interface WalkOptions {
  /** Reads like `Cannot list "src"`. */
  action: string;
  /** 1: only the folder itself. */
  maxDepth: number;
  includeHidden: boolean;
  respectGitignore: boolean;
  /** Names that are neither given nor walked into. */
  skip: ReadonlySet<string>;
  /** Entries looked at, whether they are given or not. */
  visitedMax: number;
}

type Ignores = readonly (readonly [folder: string, rules: GitIgnore])[];

/** A folder's entries in the order of their names, each folder's own right after it. Symbolic links are not followed. */
export class FolderWalk {
  /** False once `visitedMax` ended the walk. */
  isComplete = true;
  #visited = 0;

  constructor(
    private readonly paths: WorkspacePaths,
    private readonly options: WalkOptions,
  ) {}

  async *entries(root: string): AsyncGenerator<WalkedEntry, void, undefined> {
    yield* this.#walk(root, "", 1, this.options.respectGitignore ? inherited(this.paths, root) : []);
  }

  async *#walk(folder: string, prefix: string, depth: number, ignores: Ignores): AsyncGenerator<WalkedEntry> {
    const { action, maxDepth, includeHidden, respectGitignore, skip, visitedMax } = this.options;
    for (const dirent of readFolder(folder, action, depth === 1)) {
      if (++this.#visited % 1000 === 0) await nextTurn(); // other requests come in between
      if (this.#visited > visitedMax) this.isComplete = false;
      if (!this.isComplete) return;
      if (skip.has(dirent.name) || (!includeHidden && dirent.name.startsWith("."))) continue;
      const full = join(folder, dirent.name);
      const path = this.paths.relative(full);
      const isFolder = dirent.isDirectory();
      if (respectGitignore && (dirent.name === ".git" || isIgnored(ignores, path, isFolder))) continue;
      const inRoot = prefix + dirent.name;
      yield { full, path, inRoot, dirent };
      if (!isFolder || depth >= maxDepth) continue;
      yield* this.#walk(full, `${inRoot}/`, depth + 1, respectGitignore ? withOwn(ignores, full, path) : []);
    }
  }
}

const readFolder = (folder: string, action: string, isRoot: boolean): Dirent[] => {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (isRoot) throw fromSystemError(error, action);
    return []; // it went away, or may not be read: its own entry is given
  }
};

/** The rule files from the workdir down to the walked folder. */
const inherited = (paths: WorkspacePaths, root: string): Ignores => {
  const steps = paths.relative(root).split("/").filter(Boolean);
  let ignores: Ignores = [];
  for (let depth = 0; depth <= steps.length; depth++) {
    const shown = steps.slice(0, depth).join("/");
    ignores = withOwn(ignores, join(paths.root, shown), shown);
  }
  return ignores;
};

const withOwn = (ignores: Ignores, folder: string, shown: string): Ignores => {
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
const isIgnored = (ignores: Ignores, shown: string, isFolder: boolean): boolean => {
  for (const [folder, rules] of ignores.toReversed()) {
    const verdict = rules.isIgnored(folder === "" ? shown : shown.slice(folder.length + 1), isFolder);
    if (verdict !== undefined) return verdict;
  }
  return false;
};
