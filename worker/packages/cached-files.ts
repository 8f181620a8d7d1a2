import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";

const PART = ".part";
/** A file that is still being written does not stand for so long without growing. */
const PART_MAX_MS = 3_600_000;
/** What was used within this time is not marked again. */
const MARK_EVERY_MS = 60_000;

/** A folder of files, whole ones only, bounded in size. Several workers may share it. */
export class CachedFiles {
  readonly #filling = new Map<string, Promise<void>>();
  #eviction = Promise.resolve();

  constructor(
    private readonly folder: string,
    readonly limitBytes: number,
    private readonly log: Logger,
  ) {}

  /**
   * The file of this key, open; its reader closes it. Written by `fill` where there is none, or only one older than
   * `maxAgeMs`; those who ask for it meanwhile wait for the same. What `fill` rejects with leaves nothing.
   */
  async open(
    key: string,
    fill: (path: string) => Promise<void>,
    maxAgeMs = Number.POSITIVE_INFINITY,
  ): Promise<FileHandle> {
    const name = createHash("sha256").update(key).digest("hex");
    const path = join(this.folder, name);
    for (let attempt = 0; ; attempt++) {
      const file = await open(path).catch(() => undefined);
      if (file && (await this.#isFresh(path, file, maxAgeMs))) return file;
      await file?.close();
      if (attempt === 3) throw new Error("the package cache is too small for what is asked of it");
      let filling = this.#filling.get(name);
      if (!filling) {
        filling = this.#fill(path, fill).finally(() => this.#filling.delete(name));
        this.#filling.set(name, filling);
      }
      await filling;
    }
  }

  /** The time of its last use stands in atime, that of its making in mtime. */
  async #isFresh(path: string, file: FileHandle, maxAgeMs: number): Promise<boolean> {
    const { mtimeMs, atimeMs } = await file.stat();
    const now = Date.now();
    if (now - mtimeMs > maxAgeMs) return false;
    if (now - atimeMs > MARK_EVERY_MS) await utimes(path, now / 1000, mtimeMs / 1000).catch(() => {}); // evicted meanwhile
    return true;
  }

  async #fill(path: string, fill: (path: string) => Promise<void>): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const part = `${path}.${randomUUID()}${PART}`;
    try {
      await fill(part);
      await rename(part, path);
    } finally {
      await rm(part, { force: true });
    }
    this.#eviction = this.#eviction
      .then(() => this.#evict())
      .catch((err) => {
        this.log.warn({ err }, "the package cache was not trimmed");
      });
    await this.#eviction;
  }

  async #evict(): Promise<void> {
    const names = await readdir(this.folder);
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(this.folder, name);
        const { size, atimeMs, mtimeMs } = await stat(path).catch(() => ({ size: 0, atimeMs: 0, mtimeMs: Date.now() }));
        return { path, size, usedAt: Math.max(atimeMs, mtimeMs), isPart: name.endsWith(PART), mtimeMs };
      }),
    );
    const dead = found.filter(({ isPart, mtimeMs }) => isPart && Date.now() - mtimeMs > PART_MAX_MS);
    const whole = found.filter(({ isPart }) => !isPart).sort((a, b) => a.usedAt - b.usedAt);
    let total = whole.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of whole) {
      if (total <= this.limitBytes) break;
      total -= size;
      dead.push({ path, size, usedAt: 0, isPart: false, mtimeMs: 0 });
    }
    await Promise.all(dead.map(({ path }) => rm(path, { force: true })));
  }
}
