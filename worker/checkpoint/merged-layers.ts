import type { TreeEntry } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { type ChunkHash, decodeLayer, type LayerContent, type Location } from "./layer.ts";
import type { ReadObjects } from "./read-objects.ts";

const KIND_REMOVED = 4;
const READ_AT_ONCE = 8;

/** @throws {ToolFailure} STORE_UNAVAILABLE */
export const readLayers = async (objects: ReadObjects, names: readonly string[]): Promise<LayerContent[]> => {
  const layers: LayerContent[] = [];
  for (let from = 0; from < names.length; from += READ_AT_ONCE) {
    const some = names.slice(from, from + READ_AT_ONCE);
    layers.push(...(await Promise.all(some.map(async (name) => decodeLayer(name, await objects.get(name))))));
  }
  return layers;
};

/** Later layers replace what earlier ones say. Entries come sorted, so that parents come first. */
export const mergeLayers = (layers: LayerContent[]): { entries: TreeEntry[]; stored: Map<ChunkHash, Location> } => {
  const found = new Map<string, TreeEntry>();
  const stored = new Map<ChunkHash, Location>();
  for (const layer of layers) {
    for (const entry of layer.entries) {
      if (entry.kind === KIND_REMOVED) found.delete(entry.path);
      else found.set(entry.path, entry);
    }
    for (const [hash, at] of layer.stored) stored.set(hash, at);
  }
  const entries = [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { entries, stored };
};
