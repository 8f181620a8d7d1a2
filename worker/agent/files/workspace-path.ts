import { lstatSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { AgentFailure, fromSystemError } from "../failure.ts";

const LINKS_MAX = 40;

/**
 * Turns paths from outside into real ones inside the workspace. This keeps honest callers from the wrong place; it is no
 * fence: the session's own commands may read and write everything that its user may.
 */
export class WorkspacePaths {
  /** The workdir's real path. */
  readonly root: string;

  constructor(readonly workdir: string) {
    this.root = realpathSync.native(workdir);
  }

  /** The real path of something that exists. */
  existing(path: string, action: string): string {
    const lexical = this.#resolve(path, action);
    try {
      return this.#within(realpathSync.native(lexical), action);
    } catch (error) {
      throw fromSystemError(error, action);
    }
  }

  /** Where a file to be written really goes, links followed; neither it nor its parents need exist. */
  target(path: string, action: string): string {
    let current = this.#resolve(path, action);
    if (current === this.workdir) return this.root;
    for (let links = 0; links < LINKS_MAX; links++) {
      current = join(this.#realParent(dirname(current), action), basename(current));
      this.#within(current, action);
      const link = readLink(current, action);
      if (link === undefined) return current;
      current = resolve(dirname(current), link);
    }
    throw new AgentFailure("INVALID_ARGUMENT", `${action}: too many symbolic links`);
  }

  /** A file's own place: the folders on the way are real ones, a link at its end is not followed. */
  entry(path: string, action: string): string {
    const lexical = this.#resolve(path, action);
    if (lexical === this.workdir) return this.root;
    return this.#within(join(this.#realParent(dirname(lexical), action), basename(lexical)), action);
  }

  /** As tools show it: relative to the workdir, "" for the workdir itself. */
  relative(realPath: string): string {
    return realPath === this.root ? "" : realPath.slice(this.root.length + 1);
  }

  #resolve(path: string, action: string): string {
    if (path.includes("\0")) throw new AgentFailure("INVALID_ARGUMENT", `${action}: the path contains a NUL character`);
    const lexical = resolve(this.workdir, path);
    if (!isInside(lexical, this.workdir) && !isInside(lexical, this.root)) throw outside(action);
    return lexical;
  }

  /** The real path of a folder of which only the beginning may exist. */
  #realParent(folder: string, action: string): string {
    const missing: string[] = [];
    for (let existing = folder; ; existing = dirname(existing)) {
      try {
        return this.#within(join(realpathSync.native(existing), ...missing), action);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || existing === "/")
          throw fromSystemError(error, action);
        missing.unshift(basename(existing));
      }
    }
  }

  #within(realPath: string, action: string): string {
    if (!isInside(realPath, this.root)) throw outside(action);
    return realPath;
  }
}

const isInside = (path: string, folder: string): boolean => path === folder || path.startsWith(folder + sep);

const outside = (action: string): AgentFailure =>
  new AgentFailure("PATH_OUTSIDE_WORKSPACE", `${action}: it is outside the workspace`);

/** Where a symbolic link points; undefined for anything else and for nothing. */
const readLink = (path: string, action: string): string | undefined => {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fromSystemError(error, action);
  }
};
