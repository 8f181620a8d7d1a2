import type { CheckpointStore } from "./checkpoint-store.ts";
import type { ChunkHash, Location } from "./layer.ts";

/** A pack of this size is written at once: what a checkpoint holds in memory is bounded by it. */
const PACK_BYTES = 8 * 1024 * 1024;
/** What is left in the end goes into the layer's own object. */
const IN_LAYER_BYTES = 4 * 1024 * 1024;

/** Where objects go. */
export interface Sink extends Pick<CheckpointStore, "put"> {
  /** Told early how many bytes there will be in all, so that what is too much is refused before any is written. */
  expect?(bytes: number): Promise<void>;
}

/** Collects chunks, and writes a pack whenever there are enough. */
export class PackWriter {
  readonly stored = new Map<ChunkHash, Location>();
  readonly sizes = new Map<string, number>();
  #parts: Buffer[] = [];
  #pending = new Map<ChunkHash, Omit<Location, "object">>();
  #bytes = 0;
  #total = 0;

  constructor(private readonly store: Sink) {}

  has(hash: ChunkHash): boolean {
    return this.stored.has(hash) || this.#pending.has(hash);
  }

  get totalBytes(): number {
    return this.#total;
  }

  /** So many bytes more are about to be added. */
  async expect(bytes: number): Promise<void> {
    await this.store.expect?.(this.#total + bytes);
  }

  async add(hash: ChunkHash, bytes: Buffer): Promise<void> {
    if (this.has(hash)) return;
    this.#pending.set(hash, { offset: this.#bytes, length: bytes.length });
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    this.#total += bytes.length;
    if (this.#bytes >= PACK_BYTES) await this.#flush();
  }

  /** What remains for the layer's own object: its content, and its chunks without an object. */
  async rest(): Promise<{ content: Buffer[]; chunks: Map<ChunkHash, Location> }> {
    if (this.#bytes > IN_LAYER_BYTES) await this.#flush();
    return {
      content: this.#parts,
      chunks: new Map([...this.#pending].map(([hash, at]) => [hash, { ...at, object: "" }])),
    };
  }

  async #flush(): Promise<void> {
    const object = await this.store.put(Buffer.concat(this.#parts, this.#bytes));
    for (const [hash, at] of this.#pending) this.stored.set(hash, { ...at, object });
    this.sizes.set(object, this.#bytes);
    this.#parts = [];
    this.#pending = new Map();
    this.#bytes = 0;
  }
}
