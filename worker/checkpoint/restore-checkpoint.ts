import type { TreeEntry } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { CheckpointStore } from "./checkpoint-store.ts";
import { type ChunkHash, hashesOf, type Location } from "./layer.ts";
import { Lineage } from "./lineage.ts";
import { mergeLayers, readLayers } from "./merged-layers.ts";
import { ReadObjects } from "./read-objects.ts";

/** Of one frame. */
const FRAME_ENTRIES = 5_000;
const FRAME_BYTES = 4 * 1024 * 1024;

interface Place {
  path: string;
  index: number;
}

/**
 * Makes the sandbox's files what the layers say, and the lineage what they are made of.
 * @param layers the oldest first
 * @throws {ToolFailure} STORE_UNAVAILABLE, before anything in the sandbox was changed where an object is missing
 */
export const restoreCheckpoint = async (
  sandbox: Sandbox,
  store: CheckpointStore,
  lineage: Lineage,
  layers: readonly string[],
): Promise<void> => {
  const read = new ReadObjects(store);
  const { entries, stored } = mergeLayers(await readLayers(read, layers));
  const places = placesByObject(entries, stored);
  await read.check([...places.keys()]);
  const unpack = new Unpacking(sandbox);
  for (let from = 0; from < entries.length; from += FRAME_ENTRIES)
    await unpack.entries(entries.slice(from, from + FRAME_ENTRIES));
  for (const [object, chunks] of places) {
    const bytes = await read.get(object);
    for (const { hash, places: wanted } of chunks) {
      const { offset, length } = stored.get(hash)!;
      for (const place of wanted) await unpack.piece(place, bytes.subarray(offset, offset + length));
    }
  }
  const { generation, number } = await unpack.end();
  const objects = new Set([...layers, ...places.keys()]);
  for (const { object } of stored.values()) objects.add(object);
  const none = { files: 0, bytes: 0, storedBytes: 0, leftOut: 0, sizes: new Map<string, number>() };
  lineage.advance({ ...none, layers: [...layers], objects, isFull: true, stored, generation, number });
};

/** The lineage of a checkpoint whose files stand in the session already, as the agent's scan `number` found them. */
export const resumeLineage = async (
  store: CheckpointStore,
  { layers, objects, generation, scan }: { layers: string[]; objects: string[]; generation: string; scan: string },
): Promise<Lineage> => {
  const { stored } = mergeLayers(await readLayers(new ReadObjects(store), layers));
  const none = { files: 0, bytes: 0, storedBytes: 0, leftOut: 0, sizes: new Map<string, number>() };
  const lineage = new Lineage();
  lineage.advance({
    ...none,
    layers,
    objects: new Set(objects),
    isFull: true,
    stored,
    generation,
    number: BigInt(scan),
  });
  return lineage;
};

const placesByObject = (
  entries: TreeEntry[],
  stored: ReadonlyMap<ChunkHash, Location>,
): Map<string, { hash: ChunkHash; places: Place[] }[]> => {
  const placesOf = new Map<ChunkHash, Place[]>();
  for (const { path, chunks } of entries)
    for (const [index, hash] of hashesOf(chunks).entries()) {
      const places = placesOf.get(hash);
      if (places) places.push({ path, index });
      else placesOf.set(hash, [{ path, index }]);
    }
  const byObject = new Map<string, { hash: ChunkHash; places: Place[] }[]>();
  for (const [hash, places] of placesOf) {
    const object = stored.get(hash)?.object;
    if (!object) throw new ToolFailure("STORE_UNAVAILABLE", "The checkpoint store failed: content is not to be found");
    const list = byObject.get(object);
    if (list) list.push({ hash, places });
    else byObject.set(object, [{ hash, places }]);
  }
  return byObject;
};

/** Collects pieces into frames, and waits for each frame's answer: what is under way is bounded. */
class Unpacking {
  #isFirst = true;
  #pieces: { path: string; index: number; length: number }[] = [];
  #data: Uint8Array[] = [];
  #bytes = 0;

  constructor(private readonly sandbox: Sandbox) {}

  async entries(entries: TreeEntry[]): Promise<void> {
    await this.sandbox.unpackTree({ isFirst: this.#isFirst, entries });
    this.#isFirst = false;
  }

  async piece({ path, index }: Place, bytes: Uint8Array): Promise<void> {
    this.#pieces.push({ path, index, length: bytes.length });
    this.#append(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= FRAME_BYTES) await this.#send(false);
  }

  /** Neighbours in an object go out as one part: a thousand small files are no thousand writes. */
  #append(bytes: Uint8Array): void {
    const last = this.#data.at(-1);
    if (last && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset)
      this.#data[this.#data.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length);
    else this.#data.push(bytes);
  }

  async end(): Promise<{ generation: string; number: bigint }> {
    return await this.#send(true);
  }

  async #send(isLast: boolean): Promise<{ generation: string; number: bigint }> {
    const pieces = this.#pieces;
    const data = this.#data;
    this.#pieces = [];
    this.#data = [];
    this.#bytes = 0;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    return await this.sandbox.unpackTree({ isFirst, pieces, isLast }, data);
  }
}
