import type { CheckpointStore } from "./checkpoint-store.ts";

/** Of the objects that are kept, in memory. A layer and a pack of usual size fit together. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** Objects of one checkpoint, each read and hashed once as far as they fit: a layer also holds content. */
export class ReadObjects {
  readonly #kept = new Map<string, Buffer>();
  #keptBytes = 0;

  constructor(private readonly store: CheckpointStore) {}

  /** @throws {ToolFailure} STORE_UNAVAILABLE */
  async get(name: string): Promise<Buffer> {
    const kept = this.#kept.get(name);
    if (kept) return kept;
    const bytes = await this.store.get(name);
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes + bytes.length <= KEPT_BYTES) break;
      this.#kept.delete(oldest);
      this.#keptBytes -= length;
    }
    if (!this.#kept.has(name)) this.#keptBytes += bytes.length;
    this.#kept.set(name, bytes);
    return bytes;
  }

  /** @throws {ToolFailure} STORE_UNAVAILABLE when one of them is missing */
  async check(names: string[]): Promise<void> {
    await this.store.check(names.filter((name) => !this.#kept.has(name)));
  }
}
