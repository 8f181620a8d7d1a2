import type { TreeEntry } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type ChunkHash, encodeLayer, hashesOf, type Location } from "./layer.ts";
import type { Lineage, Written } from "./lineage.ts";
import { PackWriter, type Sink } from "./pack-writer.ts";
import { readChanges } from "./read-changes.ts";

/**
 * Scans the session's files and stores what the lineage does not have yet. What is written counts only once a pointer to
 * it stands; until then it is nobody's, and swept some time.
 * @throws {ToolFailure} STORE_UNAVAILABLE; SANDBOX_UNAVAILABLE when the agent cannot be asked
 */
export const writeCheckpoint = async (sandbox: Sandbox, store: Sink, lineage: Lineage): Promise<Written> => {
  const packs = new PackWriter(store);
  const { scan, entries } = await readChanges(sandbox, lineage, packs);
  const { isFull, generation, number, fileCount: files, fileBytes, leftOut } = scan;
  const facts = { isFull, generation, number, files, bytes: Number(fileBytes), leftOut };
  const below = isFull ? [] : [...lineage.layers];
  const objects = new Set(isFull ? [] : lineage.objects);
  if (!isFull && entries.length === 0)
    return { ...facts, layers: below, objects, stored: new Map(), sizes: new Map(), storedBytes: 0 };

  const { content, chunks } = await packs.rest();
  const kept = isFull ? keptChunks(entries, lineage, packs) : new Map<ChunkHash, Location>();
  const stored = new Map([...kept, ...packs.stored]);
  const encoded = encodeLayer({ below, entries, stored: new Map([...stored, ...chunks]) }, content);
  const layer = await store.put(encoded.bytes);
  for (const [hash, { offset, length }] of chunks)
    stored.set(hash, { object: layer, offset: encoded.contentAt + offset, length });
  for (const { object } of stored.values()) objects.add(object);
  const sizes = new Map(packs.sizes).set(layer, encoded.bytes.length);
  const storedBytes = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { ...facts, layers: [...below, layer], objects: objects.add(layer), stored, sizes, storedBytes };
};

/** What a full layer says of content that stands already and was not written anew. */
const keptChunks = (entries: TreeEntry[], lineage: Lineage, packs: PackWriter): Map<ChunkHash, Location> => {
  const kept = new Map<ChunkHash, Location>();
  for (const hash of entries.flatMap(({ chunks }) => hashesOf(chunks))) {
    const at = packs.has(hash) ? undefined : lineage.find(hash);
    if (at) kept.set(hash, at);
  }
  return kept;
};
