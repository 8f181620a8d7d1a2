import { ToolFailure } from "./failure.ts";
import { type CheckpointId, type SessionId, sessionOf } from "./ids.ts";
import type { Hash } from "./redis/hash.ts";

export interface CheckpointRecord {
  id: CheckpointId;
  principal: string;
  sessionId: SessionId;
  /** Empty for an automatic one. */
  name: string;
  createdAt: number;
  files: number;
  bytes: number;
  /** That were written for it. */
  storedBytes: number;
  /** Names of its layers in the store, the oldest first, and of all objects that it needs. */
  layers: string[];
  objects: string[];
  /** The agent's scan that it shows. */
  generation: string;
  scan: string;
  /** Number of the last mutating call of its session that it covers. */
  covered: number;
  /** Which part of the store its objects stand in, where that is another Redis's. */
  space?: string;
}

const words = (text: string | undefined): string[] => (text ? text.split(" ") : []);
export const toCheckpoint = (id: CheckpointId, h: Hash): CheckpointRecord => ({
  id,
  principal: h.principal ?? "",
  sessionId: sessionOf(id),
  name: h.name ?? "",
  createdAt: Number(h.created_at),
  files: Number(h.files),
  bytes: Number(h.bytes),
  storedBytes: Number(h.stored_bytes),
  layers: words(h.layers),
  objects: words(h.objects),
  generation: h.generation ?? "",
  scan: h.scan ?? "0",
  covered: Number(h.covered),
  ...(h.space ? { space: h.space } : {}),
});

/** The one answer for a checkpoint that nobody knows, that is gone, or that is somebody else's. */
export const noCheckpoint = (id: string): ToolFailure =>
  new ToolFailure("NOT_FOUND", `There is no checkpoint "${id}"; automatic ones are the last three of a session`, {
    hint: "list_checkpoints shows yours.",
  });

/** As the record's hash holds it. */
export const checkpointFields = (record: CheckpointRecord): Record<string, string | number> => ({
  principal: record.principal,
  name: record.name,
  created_at: record.createdAt,
  time: new Date(record.createdAt).toISOString(),
  files: record.files,
  bytes: record.bytes,
  stored_bytes: record.storedBytes,
  layers: record.layers.join(" "),
  objects: record.objects.join(" "),
  generation: record.generation,
  scan: record.scan,
  covered: record.covered,
  ...(record.space ? { space: record.space } : {}),
});
