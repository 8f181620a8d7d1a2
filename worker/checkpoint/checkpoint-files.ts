import type { TreeEntry } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { CheckpointStore } from "./checkpoint-store.ts";
import { type ChunkHash, hashesOf, type Location } from "./layer.ts";
import { mergeLayers, readLayers } from "./merged-layers.ts";
import { ReadObjects } from "./read-objects.ts";

/** Looks into a checkpoint without unpacking it. */
export class CheckpointFiles {
  private constructor(
    private readonly objects: ReadObjects,
    readonly entries: readonly TreeEntry[],
    private readonly stored: ReadonlyMap<ChunkHash, Location>,
  ) {}

  /** @throws {ToolFailure} STORE_UNAVAILABLE */
  static async open(store: CheckpointStore, layers: readonly string[]): Promise<CheckpointFiles> {
    const objects = new ReadObjects(store);
    const { entries, stored } = mergeLayers(await readLayers(objects, layers));
    return new CheckpointFiles(objects, entries, stored);
  }

  /** A file's content, in memory. @throws {ToolFailure} STORE_UNAVAILABLE */
  async content(entry: TreeEntry): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (const hash of hashesOf(entry.chunks)) {
      const at = this.stored.get(hash);
      if (!at) throw new ToolFailure("STORE_UNAVAILABLE", "The checkpoint store failed: content is not to be found");
      const bytes = await this.objects.get(at.object);
      parts.push(bytes.subarray(at.offset, at.offset + at.length));
    }
    return Buffer.concat(parts);
  }
}
