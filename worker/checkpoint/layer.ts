import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { TreeEntry } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { type Layer, LayerSchema, type StoredChunks } from "../../proto/gen/codegen/checkpoint/v1/layer_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";

/** As the agent cuts files. */
export const CHUNK_BYTES = 1024 * 1024;
const HASH_BYTES = 32;
const LENGTH_BYTES = 4;

/** Where a chunk's bytes stand. */
export interface Location {
  object: string;
  offset: number;
  length: number;
}

/** A chunk's SHA-256 as a string of 32 Latin-1 characters: short, and fit for a Map. */
export type ChunkHash = string;

export const hashesOf = (chunks: Uint8Array): ChunkHash[] =>
  Array.from({ length: chunks.length / HASH_BYTES }, (_, i) =>
    Buffer.from(chunks.buffer, chunks.byteOffset + i * HASH_BYTES, HASH_BYTES).toString("latin1"),
  );

export interface LayerContent {
  below: string[];
  entries: TreeEntry[];
  /** Chunks of the object itself have their offset from the end of its header, and no object. */
  stored: ReadonlyMap<ChunkHash, Location>;
}

/** @returns the object's bytes, and where the content begins in it */
export const encodeLayer = (
  { below, entries, stored }: LayerContent,
  content: Buffer[],
): { bytes: Buffer; contentAt: number } => {
  const byObject = new Map<string, [ChunkHash, Location][]>();
  for (const one of stored) {
    const list = byObject.get(one[1].object);
    if (list) list.push(one);
    else byObject.set(one[1].object, [one]);
  }
  const tables = [...byObject].map(([object, chunks]) => ({
    object,
    hashes: Buffer.from(chunks.map(([hash]) => hash).join(""), "latin1"),
    offsets: chunks.map(([, { offset }]) => BigInt(offset)),
    lengths: chunks.map(([, { length }]) => length),
  }));
  const header = toBinary(LayerSchema, create(LayerSchema, { below, entries, stored: tables }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(header.length);
  return { bytes: Buffer.concat([length, header, ...content]), contentAt: LENGTH_BYTES + header.length };
};

/** @param name of the object that `bytes` are @throws {ToolFailure} STORE_UNAVAILABLE */
export const decodeLayer = (name: string, bytes: Buffer): LayerContent => {
  let layer: Layer;
  let contentAt: number;
  try {
    contentAt = LENGTH_BYTES + bytes.readUInt32BE(0);
    layer = fromBinary(LayerSchema, bytes.subarray(LENGTH_BYTES, contentAt));
  } catch (cause) {
    throw new ToolFailure("STORE_UNAVAILABLE", `The checkpoint store failed: object ${name} is no layer`, { cause });
  }
  const stored = new Map<ChunkHash, Location>();
  for (const table of layer.stored) addTable(stored, table, name, contentAt);
  return { below: layer.below, entries: layer.entries, stored };
};

const addTable = (
  into: Map<ChunkHash, Location>,
  { object, hashes, offsets, lengths }: StoredChunks,
  name: string,
  contentAt: number,
): void => {
  const from = object === "" ? contentAt : 0;
  for (const [i, hash] of hashesOf(hashes).entries())
    into.set(hash, { object: object || name, offset: from + Number(offsets[i]), length: lengths[i] ?? 0 });
};
