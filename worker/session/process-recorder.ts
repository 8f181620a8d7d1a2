import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { SessionEventSchema } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { ProcessStatus } from "../../shared/process-record.ts";
import { FencedError, type Lease, type RecordedEnd, type SessionScripts } from "../../shared/redis/session-scripts.ts";
import { OutputMask } from "../masking/output-mask.ts";
import type { SecretMask } from "../masking/secret-mask.ts";
import type { CodeEnd } from "../sandbox/sandbox.ts";
import type { OutputWindow } from "./output-window.ts";

/** Output of one process that Redis keeps; older bytes go first. */
const KEEP_BYTES = 4 * 1024 * 1024;
/** Larger chunks are only announced; whoever wants them reads the stream. */
const MAX_INLINE_BYTES = 16 * 1024;
const RETRY_MS = 1_000;

export interface ProcessEnd {
  status: ProcessStatus;
  exitCode: number | null;
  signal: string | null;
  durationMs: number;
  /** The memory limit killed something in the sandbox while it ran. */
  outOfMemory: boolean;
  /** Bytes of its output, from the start, that stand in its log file; 0 when there is none. */
  logBytes: number;
  /** Of code in an interpreter; absent for commands, and where nobody saw the end. */
  code?: CodeEnd;
}

/** What is counted of processes. */
export interface OutputMetrics {
  output(isStderr: boolean, bytes: number): void;
  firstOutput(afterMs: number): void;
  oomKilled(): void;
}

/** Of a process whose end nobody saw. */
export const UNSEEN_END = { exitCode: null, signal: null, durationMs: 0, outOfMemory: false, logBytes: 0 } as const;

/**
 * Writes one process's output and end to its stream and record, in order. Calls are issued without waiting for each
 * other's answers: one connection keeps their order.
 */
export class ProcessRecorder {
  #sequence = 0;
  readonly #startedAt = performance.now();
  #bytes: number;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #mask: OutputMask | undefined;

  constructor(
    private readonly deps: {
      scripts: SessionScripts;
      sid: SessionId;
      lease: Lease;
      callId: CallId;
      /** Absent for a process of an earlier owner: whoever wants its output reads the records. */
      windows?: { stdout: OutputWindow; stderr: OutputWindow };
      /** What is masked in its output; undefined for nothing. */
      secrets?: SecretMask | undefined;
      /** The output up to this offset is recorded. */
      onRecorded: (offset: number) => void;
      metrics: OutputMetrics;
      onError: (error: unknown) => void;
    },
    /** What an earlier owner recorded of it: so many bytes, the last of them under this id. */
    private readonly before = { bytes: 0, lastId: "0" },
  ) {
    this.#bytes = before.bytes;
    const { secrets } = deps;
    if (secrets) this.#mask = new OutputMask(secrets, (offset, isStderr, data) => this.#record(offset, isStderr, data));
  }

  /** Where `read_process` goes on after what was recorded so far. */
  get cursor(): string {
    return this.#sequence === 0 ? this.before.lastId : `${this.deps.lease.epoch}-${this.#sequence}`;
  }

  /** @param data secrets in it are masked in place */
  output(offset: number, isStderr: boolean, data: Buffer): void {
    if (this.#mask) this.#mask.push(offset, isStderr, data);
    else this.#record(offset, isStderr, data);
  }

  #record(offset: number, isStderr: boolean, data: Buffer): void {
    const { callId, lease, windows, onRecorded, metrics } = this.deps;
    if (this.cursor === "0") metrics.firstOutput(performance.now() - this.#startedAt);
    metrics.output(isStderr, data.length);
    this.#sequence++;
    this.#bytes = offset + data.length;
    windows?.[isStderr ? "stderr" : "stdout"].push(data);
    const sequence = BigInt(this.#sequence);
    const body =
      data.length <= MAX_INLINE_BYTES
        ? { case: "output" as const, value: { sequence, offset: BigInt(offset), isStderr, data: new Uint8Array(data) } }
        : { case: "wake" as const, value: { sequence } };
    const event = create(SessionEventSchema, { callId, epoch: BigInt(lease.epoch), body });
    const chunk = { callId, sequence: this.#sequence, offset, isStderr, data };
    const bytes = { ...chunk, event: Buffer.from(toBinary(SessionEventSchema, event)) };
    const appended = this.#append(bytes).then((isRecorded) => isRecorded && onRecorded(offset + data.length));
    this.#pending.add(appended);
    void appended.then(() => this.#pending.delete(appended));
  }

  /** Resolves when all output so far is recorded, but for what may be half a secret: the agent keeps that. */
  async flushed(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** Tries until the chunk is recorded: one that is not would stop the process at its window for ever. */
  async #append(chunk: Parameters<SessionScripts["append"]>[2]): Promise<boolean> {
    const { scripts, sid, lease } = this.deps;
    return await this.#insist(() => scripts.append(sid, lease, chunk, KEEP_BYTES));
  }

  /** Resolves when it is recorded, or the session is no longer ours. */
  async ended(end: ProcessEnd): Promise<void> {
    const { scripts, sid, lease, callId } = this.deps;
    await this.#insist(() => scripts.endProcess(sid, lease, callId, this.toRecord(end)));
  }

  /** The end as it is recorded, after all output so far. */
  toRecord({ status, exitCode, signal, durationMs, logBytes }: ProcessEnd): RecordedEnd {
    this.#mask?.release();
    return { status, exitCode: exitCode ?? "", signal: signal ?? "", durationMs, bytes: this.#bytes, logBytes };
  }

  /** @returns false when the session is no longer ours */
  async #insist(write: () => Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await write();
        return true;
      } catch (error) {
        this.deps.onError(error);
        if (error instanceof FencedError) return false;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }
}
