import type { ChunkHash, Location } from "./layer.ts";

/** A full layer is written once this many stand on each other: a restore reads them all. */
const MAX_LAYERS = 32;

/** A checkpoint as it was written. */
export interface Written {
  /** Names of its layers, the oldest first. */
  layers: string[];
  /** Names of all objects that it needs, its layers among them. */
  objects: Set<string>;
  /** Where chunks stand: all of the checkpoint's when it is full, else those that were added. */
  isFull: boolean;
  stored: ReadonlyMap<ChunkHash, Location>;
  /** Bytes of objects that were added. */
  sizes: ReadonlyMap<string, number>;
  /** The agent's scan that it shows. */
  generation: string;
  number: bigint;
  files: number;
  bytes: number;
  /** That were written for it. */
  storedBytes: number;
  /** What could not be taken in. */
  leftOut: number;
}

/** What a session's newest checkpoint is made of: the next one stores only what is new. */
export class Lineage {
  #layers: string[] = [];
  #objects = new Set<string>();
  #stored = new Map<ChunkHash, Location>();
  #sizes = new Map<string, number>();
  generation = "";
  number = 0n;

  get layers(): readonly string[] {
    return this.#layers;
  }

  get objects(): ReadonlySet<string> {
    return this.#objects;
  }

  get wantsFullLayer(): boolean {
    return this.#layers.length === 0 || this.#layers.length >= MAX_LAYERS;
  }

  get storesAnything(): boolean {
    return this.#stored.size > 0;
  }

  find(hash: ChunkHash): Location | undefined {
    return this.#stored.get(hash);
  }

  /** Bytes; unknown after a restore of what an earlier owner wrote. */
  sizeOf(object: string): number | undefined {
    return this.#sizes.get(object);
  }

  /** The pointer to the checkpoint stands. */
  advance({ layers, objects, isFull, stored, sizes, generation, number }: Written): void {
    this.#layers = layers;
    this.#objects = objects;
    if (isFull) this.#stored = new Map(stored);
    else for (const [hash, at] of stored) this.#stored.set(hash, at);
    for (const [object, bytes] of sizes) this.#sizes.set(object, bytes);
    for (const object of this.#sizes.keys()) if (!objects.has(object)) this.#sizes.delete(object);
    this.generation = generation;
    this.number = number;
  }
}
