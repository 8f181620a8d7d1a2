import { createHash } from "node:crypto";
import type { TreeEntry, TreeScan } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { CHUNK_BYTES, type ChunkHash, hashesOf, type Location } from "./layer.ts";
import type { Lineage } from "./lineage.ts";
import type { PackWriter } from "./pack-writer.ts";

/** Of one request for chunks. */
const READ_BYTES = 4 * 1024 * 1024;
const READ_CHUNKS = 500;
/** A full layer takes along what lives in objects below this size, or of which less than half lives; so much at most. */
const SMALL_OBJECT_BYTES = 1024 * 1024;
const MAX_MOVED_BYTES = 32 * 1024 * 1024;

interface Wanted {
  path: string;
  index: number;
  hash: ChunkHash;
  length: number;
}

export interface Changes {
  /** The last part of the scan's answer: what it says of the whole holds. */
  scan: TreeScan;
  entries: TreeEntry[];
}

/**
 * Scans the session's files, and gives `packs` the content that nothing holds yet. The session stands still until it has
 * everything.
 */
export const readChanges = async (sandbox: Sandbox, lineage: Lineage, packs: PackWriter): Promise<Changes> => {
  const isFull = lineage.wantsFullLayer;
  const isBare = isFull && lineage.storesAnything;
  const entries: TreeEntry[] = [];
  const { generation, number: base } = lineage;
  let scan = await sandbox.scanTree(isFull ? { isBare } : { generation, base });
  try {
    for (;;) {
      await takeInline(scan, lineage, packs);
      for (const entry of scan.entries) entries.push(entry);
      if (scan.isComplete) break;
      scan = await sandbox.scanTree({ isContinued: true, isBare });
    }
    const moved = isFull ? objectsToLeave(entries, lineage) : new Set<string>();
    const isHeld = (hash: ChunkHash): boolean => {
      const at = lineage.find(hash);
      return packs.has(hash) || (at !== undefined && !moved.has(at.object));
    };
    const listed = entries.filter(({ isInline }) => !isInline).flatMap(chunksOf);
    const wanted = [...new Map(listed.map((chunk) => [chunk.hash, chunk])).values()];
    const missing = wanted.filter(({ hash }) => !isHeld(hash));
    await packs.expect(missing.reduce((sum, { length }) => sum + length, 0));
    for (const batch of batches(missing)) await read(sandbox, batch, packs);
  } finally {
    if (!scan.isEnded) await sandbox.endScan().catch(() => {}); // it ends by itself
  }
  return { scan, entries };
};

/** What stands in the session's home now, without contents. It stands still for as long as that takes. */
export const readTree = async (sandbox: Sandbox): Promise<TreeEntry[]> => {
  const entries: TreeEntry[] = [];
  let scan = await sandbox.scanTree({ isBare: true });
  try {
    for (;;) {
      for (const entry of scan.entries) entries.push(entry);
      if (scan.isComplete) return entries;
      scan = await sandbox.scanTree({ isContinued: true, isBare: true });
    }
  } finally {
    if (!scan.isEnded) await sandbox.endScan().catch(() => {}); // it ends by itself
  }
};

const takeInline = async ({ entries, data }: TreeScan, lineage: Lineage, packs: PackWriter): Promise<void> => {
  let from = 0;
  for (const entry of entries) {
    if (!entry.isInline) continue;
    const bytes = data.subarray(from, from + Number(entry.sizeBytes));
    from += bytes.length;
    for (const { hash } of chunksOf(entry)) if (!lineage.find(hash)) await take(hash, bytes, packs);
  }
};

const read = async (sandbox: Sandbox, batch: Wanted[], packs: PackWriter): Promise<void> => {
  const data = await sandbox.readChunks({ chunks: batch.map(({ path, index }) => ({ path, index })) });
  let from = 0;
  for (const { hash, length } of batch) {
    await take(hash, data.subarray(from, from + length), packs);
    from += length;
  }
};

/** What the agent says is checked: content is found again by what it is. */
const take = async (hash: ChunkHash, bytes: Uint8Array, packs: PackWriter): Promise<void> => {
  if (createHash("sha256").update(bytes).digest().toString("latin1") !== hash)
    throw new ToolFailure("SANDBOX_UNAVAILABLE", "The session's files are not what its agent says");
  await packs.add(hash, Buffer.from(bytes));
};

const chunksOf = ({ path, chunks, sizeBytes }: TreeEntry): Wanted[] =>
  hashesOf(chunks).map((hash, index) => {
    const length = Math.max(0, Math.min(CHUNK_BYTES, Number(sizeBytes) - index * CHUNK_BYTES));
    return { path, index, hash, length };
  });

const batches = function* (wanted: Wanted[]): Generator<Wanted[]> {
  let batch: Wanted[] = [];
  let bytes = 0;
  for (const one of wanted) {
    if (batch.length >= READ_CHUNKS || bytes + one.length > READ_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(one);
    bytes += one.length;
  }
  if (batch.length > 0) yield batch;
};

/** Objects of which too little lives to keep them: what lives in them is written anew. */
const objectsToLeave = (entries: TreeEntry[], lineage: Lineage): Set<string> => {
  const living = new Map<ChunkHash, Location>();
  for (const hash of entries.flatMap((entry) => hashesOf(entry.chunks))) {
    const at = lineage.find(hash);
    if (at) living.set(hash, at);
  }
  const bytesOf = new Map<string, number>();
  for (const { object, length } of living.values()) bytesOf.set(object, (bytesOf.get(object) ?? 0) + length);
  const left = new Set<string>();
  let moved = 0;
  for (const [object, bytes] of [...bytesOf].sort(([, a], [, b]) => a - b)) {
    if (moved + bytes > MAX_MOVED_BYTES) break;
    const size = lineage.sizeOf(object) ?? bytes;
    if (size >= SMALL_OBJECT_BYTES && bytes * 2 >= size) continue;
    left.add(object);
    moved += bytes;
  }
  return left;
};
