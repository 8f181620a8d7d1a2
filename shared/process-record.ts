import type { ProcessId } from "./ids.ts";
import { type Hash, optional } from "./redis/hash.ts";

export type ProcessStatus = "running" | "exited" | "timed_out" | "killed" | "lost";

export interface ProcessRecord {
  id: ProcessId;
  status: ProcessStatus;
  exitCode: number | null;
  signal: string | null;
  durationMs: number | undefined;
  startedAt: number;
  bytes: number;
  /** Output before this offset is no longer kept. */
  evictedBefore: number;
  /** Once it ended: bytes of output, from the start, that stand in a log file in the session. */
  logBytes: number;
  epoch: number;
}

export const toProcess = (id: ProcessId, h: Hash): ProcessRecord => ({
  id,
  status: h.status as ProcessStatus,
  exitCode: h.exit_code ? Number(h.exit_code) : null,
  signal: h.signal ? h.signal : null,
  durationMs: optional(h.duration_ms),
  startedAt: Number(h.started_at),
  bytes: Number(h.bytes ?? 0),
  evictedBefore: Number(h.evicted_before ?? 0),
  logBytes: Number(h.log_bytes ?? 0),
  epoch: Number(h.epoch),
});

/** A stretch of a process's output, as its stream holds it. */
export interface OutputEntry {
  /** `<epoch>-<sequence>` */
  id: string;
  offset: number;
  isStderr: boolean;
  data: Buffer;
}

export const toOutput = (raw: unknown): OutputEntry[] =>
  (raw as [Buffer, Buffer[]][]).map(([id, fields]) => ({
    id: id.toString(),
    isStderr: fields[1]?.toString() === "2",
    offset: Number(fields[3]?.toString()),
    data: fields[5] ?? Buffer.alloc(0),
  }));
