import { closeSync, lstatSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { NEVER_SOURCE } from "../../frames/never-source.ts";
import { openRegular } from "../files/scan-file.ts";
import { FolderWalk } from "../files/walk-folder.ts";
import type { WorkspacePaths } from "../files/workspace-path.ts";
import { BLOB_MAX_BYTES } from "./blob-store.ts";

/** Files of a workspace; with more it is not compared. Each takes about 200 bytes of the agent's memory. */
const FILES_MAX = 20_000;
const VISITED_MAX = 60_000;
const WALK = {
  action: "Cannot look at the workspace",
  maxDepth: 64,
  includeHidden: true,
  respectGitignore: true,
  skip: NEVER_SOURCE,
  visitedMax: VISITED_MAX,
};
const FILE_TYPE = 0o170000;
const LINK_TYPE = 0o120000;
/** Of the clock that stamps files: a change within one tick of a look may leave no trace in them. */
const CLOCK_TICK_MS = 20;

/** One file or symbolic link as it was found. */
export interface FoundFile {
  full: string;
  path: string;
  stat: Stats;
}

/** What is remembered of a file: enough to see that it changed, and where its content is. */
export interface FileState {
  /** As git writes it. */
  readonly mode: number;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly ino: number;
  /** Undefined: its content was not kept. */
  readonly blob: string | undefined;
  /** It changed so shortly before it was looked at that a later change may look the same. */
  readonly isYoung: boolean;
}

export type Snapshot = ReadonlyMap<string, FileState>;

/** Every file that the workspace's own sources may hold. @throws {TooManyFiles} */
export async function* foundFiles(paths: WorkspacePaths): AsyncGenerator<FoundFile, void, undefined> {
  const walk = new FolderWalk(paths, WALK);
  let files = 0;
  for await (const { full, path, dirent } of walk.entries(paths.root)) {
    if (!dirent.isFile() && !dirent.isSymbolicLink()) continue;
    if (++files > FILES_MAX) throw new TooManyFiles();
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat) yield { full, path, stat };
  }
  if (!walk.isComplete) throw new TooManyFiles();
}

export class TooManyFiles extends Error {
  override readonly name = "TooManyFiles";
  constructor() {
    super(`the workspace holds more than ${FILES_MAX} files that .gitignore does not name`);
  }
}

export const stateOf = (stat: Stats, blob: string | undefined, nowMs: number): FileState => ({
  mode: gitMode(stat),
  sizeBytes: stat.size,
  mtimeMs: stat.mtimeMs,
  ctimeMs: stat.ctimeMs,
  ino: stat.ino,
  blob,
  isYoung: stat.ctimeMs > nowMs - CLOCK_TICK_MS,
});

/** Whether a file is surely as it was, without reading it. */
export const isUntouched = (state: FileState, stat: Stats): boolean =>
  !state.isYoung &&
  state.ctimeMs === stat.ctimeMs &&
  state.mtimeMs === stat.mtimeMs &&
  state.sizeBytes === stat.size &&
  state.ino === stat.ino &&
  state.mode === gitMode(stat);

/** Undefined when it is too large to keep, went away, or may not be read. */
export const contentOf = ({ full, stat }: Pick<FoundFile, "full" | "stat">): Buffer | undefined => {
  if (stat.size > BLOB_MAX_BYTES) return undefined;
  try {
    if (stat.isSymbolicLink()) return readlinkSync(full, "buffer");
    const { fd, sizeBytes } = openRegular(full, "Cannot read");
    try {
      return sizeBytes > BLOB_MAX_BYTES ? undefined : readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
};

/** git knows whether a file can be executed, and no other permissions. */
export const gitMode = ({ mode }: Stats): number =>
  (mode & FILE_TYPE) === LINK_TYPE ? LINK_TYPE : mode & 0o100 ? 0o100755 : 0o100644;
