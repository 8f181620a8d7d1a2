import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { LOG_MAX_BYTES, outputLogPath } from "../../shared/output-log-path.ts";

/** An output that stays below it is whole in Redis and shown whole: it needs no file. */
const BEGIN_BYTES = 64 * 1024;
/** Of the session's disk, for all logs together. */
const DISK_SHARE = 0.25;
/** Nothing that is there already, and no symlink: the folder belongs to user code too. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * The whole output of one process, as a file in the session: begun once it is long, ended at its bound or where the disk
 * is full. A log that cannot be written ends silently; it is never the reason why a process fails.
 */
export class OutputLog {
  readonly #path: string;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #fd = -1;
  #bytes = 0;
  #limit = 0;
  #isOver = false;

  constructor(workdir: string, processId: string) {
    this.#path = outputLogPath(workdir, processId);
  }

  /** Bytes of output that the file holds; 0 when there is none. */
  get bytes(): number {
    return this.#bytes;
  }

  write(data: Buffer): void {
    if (this.#isOver) return;
    if (this.#fd >= 0) {
      this.#append(data);
      return;
    }
    this.#held.push(data);
    this.#heldBytes += data.length;
    if (this.#heldBytes > BEGIN_BYTES) this.#begin();
  }

  /** Idempotent. The file stays. */
  close(): void {
    this.#isOver = true;
    this.#held = [];
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #begin(): void {
    const held = this.#held;
    this.#held = [];
    try {
      const folder = dirname(this.#path);
      mkdirSync(folder, { recursive: true });
      const { blocks, bsize } = statfsSync(folder);
      const share = blocks * bsize * DISK_SHARE;
      this.#limit = Math.min(LOG_MAX_BYTES, share / 2);
      makeRoom(folder, share - this.#limit);
      this.#fd = openSync(this.#path, FLAGS, 0o644);
    } catch {
      this.close();
    }
    for (const data of held) this.#append(data);
  }

  #append(data: Buffer): void {
    if (this.#fd < 0) return;
    const part = data.subarray(0, this.#limit - this.#bytes);
    try {
      this.#bytes += writeSync(this.#fd, part); // to memory: it takes microseconds
    } catch {
      this.close(); // the disk is full
    }
    if (this.#bytes >= this.#limit) this.close();
  }
}

/** Removes the oldest logs until the rest holds at most `bytes`. */
const makeRoom = (folder: string, bytes: number): void => {
  const logs = readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .map((name) => ({ path: join(folder, name), stat: statSync(join(folder, name)) }))
    .sort((a, b) => b.stat.mtimeMs - a.stat.mtimeMs);
  let kept = 0;
  for (const { path, stat } of logs) {
    kept += stat.size;
    if (kept > bytes) unlinkSync(path);
  }
};
