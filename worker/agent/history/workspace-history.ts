import { existsSync, mkdirSync, rmSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { DiffWorkspace, WorkspaceChange } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure } from "../failure.ts";
import type { WorkspacePaths } from "../files/workspace-path.ts";
import { BlobStore } from "./blob-store.ts";
import {
  contentOf,
  type FileState,
  type FoundFile,
  foundFiles,
  gitMode,
  isUntouched,
  type Snapshot,
  stateOf,
  TooManyFiles,
} from "./workspace-snapshot.ts";

const STORE_MAX_BYTES = 32 * 1024 * 1024;
const CHANGES_MAX = 2_000;
/** Of one answer, which is one frame. */
const CONTENT_MAX_BYTES = 8 * 1024 * 1024;
/** How long a call may wait for the look that the end of the call before it began; so many files are always looked at. */
const GRACE_MS = 20;
const GRACE_FILES = 500;
const FILES_PER_TURN = 100;
/** A workspace that is too large to look at is looked at again after so many calls. */
const MARKS_SKIPPED = 20;

export type Change = Omit<WorkspaceChange, "$typeName" | "$unknown">;

export interface Changed {
  changes: Change[];
  truncated: boolean;
  /** How many calls `last_call` stands for. */
  calls: number;
}

/**
 * Remembers the workspace as it was when the session began and when its last two calls ended, to tell later what changed.
 * Contents stand in a folder outside the workspace, of the same session and as little protected as the workspace is.
 *
 * A look at a large workspace takes longer than most calls. It begins when a call has ended and does not hold up the next
 * one: a look that is not done in time is given up, and the two calls are told as one.
 */
export class WorkspaceHistory {
  readonly #blobs: BlobStore;
  /** Undefined: it is not known, because the agent was started again or there were too many files. */
  #session: Snapshot | undefined;
  #before: Snapshot | undefined;
  #after: Snapshot | undefined;
  /** Calls that ended between `#before` and `#after`, and since. */
  #callsBetween = 0;
  #callsSince = 0;
  #looking: Promise<void> | undefined;
  /** Since when a call waits for the look. */
  #awaitedAtMs: number | undefined;
  #toSkip = 0;

  constructor(
    private readonly paths: WorkspacePaths,
    folder: string,
  ) {
    this.#blobs = new BlobStore(folder, STORE_MAX_BYTES);
    const isRestarted = existsSync(folder);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Nothing has run yet where the agent starts for the first time, so the workspace is empty.
    const atStart = isRestarted ? undefined : new Map();
    this.#session = atStart;
    this.#before = atStart;
    this.#after = atStart;
  }

  get isLooking(): boolean {
    return this.#looking !== undefined;
  }

  /** Before anything changes: what it changes shall not be seen as the work of the call before. */
  async settle(): Promise<void> {
    this.#awaitedAtMs ??= performance.now();
    await this.#looking;
  }

  /** A call has ended, or (`isSessionStart`) the session's first files are there. Never rejects. */
  mark(isSessionStart: boolean): void {
    if (!isSessionStart) this.#callsSince++;
    this.#awaitedAtMs = undefined;
    const looking = (this.#looking ?? Promise.resolve())
      .then(() => this.#mark(isSessionStart))
      .finally(() => {
        if (this.#looking === looking) this.#looking = undefined;
      });
    this.#looking = looking;
  }

  async diff({ since, path }: Pick<DiffWorkspace, "since" | "path">): Promise<Changed> {
    const action = `Cannot compare with ${since}`;
    const within = this.#within(path, action);
    await this.#looking;
    const [last, calls] = this.#callsSince > 0 ? [this.#after, this.#callsSince] : [this.#before, this.#callsBetween];
    const base = since === "session" ? this.#session : last;
    if (!base)
      throw new AgentFailure("UNSUPPORTED", `${action}: that state is not known; too many files, or a restart since`);
    const gone = new Map([...base].filter(([file]) => within(file)));
    const changes = new Changes(this.#blobs);
    try {
      for await (const found of foundFiles(this.paths)) {
        if (!within(found.path)) continue;
        changes.add(found.path, gone.get(found.path), found);
        gone.delete(found.path);
      }
    } catch (error) {
      if (error instanceof TooManyFiles) throw new AgentFailure("UNSUPPORTED", `${action}: ${error.message}`);
      throw error;
    }
    for (const [file, old] of gone) changes.add(file, old, undefined);
    return { ...changes.end(), calls };
  }

  async #mark(isSessionStart: boolean): Promise<void> {
    if (this.#toSkip > 0 && !isSessionStart) {
      this.#toSkip--;
      return;
    }
    const calls = this.#callsSince;
    let now: Snapshot | undefined;
    try {
      now = await this.#look(this.#after);
    } catch (error) {
      if (error instanceof GivenUp) return;
      this.#toSkip = MARKS_SKIPPED; // too many files
    }
    this.#before = isSessionStart ? now : this.#after;
    this.#after = now;
    this.#callsBetween = isSessionStart ? 0 : calls;
    this.#callsSince -= calls;
    if (isSessionStart) this.#session = now;
    if (now) this.#forgetUnused();
  }

  async #look(before: Snapshot | undefined): Promise<Snapshot> {
    const snapshot = new Map<string, FileState>();
    let files = 0;
    for await (const found of foundFiles(this.paths)) {
      if (++files % FILES_PER_TURN === 0) await nextTurn(); // a call may come in
      if (files > GRACE_FILES && this.#isOverdue) throw new GivenUp();
      const known = before?.get(found.path);
      if (known && isUntouched(known, found.stat)) snapshot.set(found.path, known);
      else {
        const content = contentOf(found);
        snapshot.set(found.path, stateOf(found.stat, content && this.#blobs.put(content), Date.now()));
      }
    }
    return snapshot;
  }

  get #isOverdue(): boolean {
    return this.#awaitedAtMs !== undefined && performance.now() - this.#awaitedAtMs > GRACE_MS;
  }

  #forgetUnused(): void {
    if (!this.#blobs.isGrown) return;
    const ids = new Set<string>();
    for (const snapshot of [this.#session, this.#before, this.#after]) {
      for (const { blob } of snapshot?.values() ?? []) if (blob) ids.add(blob);
    }
    this.#blobs.keepOnly(ids);
  }

  #within(path: string, action: string): (file: string) => boolean {
    if (path === "") return () => true;
    const folder = this.paths.relative(this.paths.entry(path, action));
    return (file) => folder === "" || file === folder || file.startsWith(`${folder}/`);
  }
}

class GivenUp extends Error {}

/** Collects what differs, as far as it fits into one answer. */
class Changes {
  readonly #changes: Change[] = [];
  #contentBytes = 0;
  #isTruncated = false;

  constructor(private readonly blobs: BlobStore) {}

  add(path: string, old: FileState | undefined, found: FoundFile | undefined): void {
    if (old && found && isUntouched(old, found.stat)) return;
    const oldContent = old?.blob === undefined ? undefined : this.blobs.get(old.blob);
    const newContent = found && contentOf(found);
    const oldMode = old?.mode ?? 0;
    const newMode = found ? gitMode(found.stat) : 0;
    if (oldMode === newMode && oldContent && newContent && oldContent.equals(newContent)) return;
    if (this.#changes.length >= CHANGES_MAX) {
      this.#isTruncated = true;
      return;
    }
    const none = new Uint8Array(0);
    const isUnknown = (old && !oldContent) || (found && !newContent);
    const bytes = (oldContent?.length ?? 0) + (newContent?.length ?? 0);
    const isTooMuch = this.#contentBytes + bytes > CONTENT_MAX_BYTES;
    const change = { path, oldMode, newMode };
    if (isUnknown || isTooMuch) {
      const withoutContent = isTooMuch || (found && !newContent) ? "large" : "unknown";
      this.#changes.push({ ...change, oldContent: none, newContent: none, withoutContent });
      return;
    }
    this.#contentBytes += bytes;
    this.#changes.push({
      ...change,
      oldContent: oldContent ?? none,
      newContent: newContent ?? none,
      withoutContent: "",
    });
  }

  end(): { changes: Change[]; truncated: boolean } {
    const changes = this.#changes.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { changes, truncated: this.#isTruncated };
  }
}
