import type { OutputLog } from "./output-log.ts";

/** As in agent.proto's `StreamKind`; importing it would load the generated code. */
export const STDOUT = 1;
export const STDERR = 2;
export type Stream = typeof STDOUT | typeof STDERR;

/** A process may have this much output that the worker has not recorded yet; then its pipes are not read any more. */
export const WINDOW_BYTES = 1024 * 1024;
const RESUME_BELOW_BYTES = WINDOW_BYTES / 2;
const COALESCE_BYTES = 64 * 1024;
const COALESCE_MS = 20;

export interface OutputChunk {
  stream: Stream;
  /** Of the first byte, in both streams counted together. */
  offset: number;
  data: Buffer;
}

export interface OutputWindowListener {
  onChunk(chunk: OutputChunk): void;
  /** The window is full (true) or has room again (false). */
  onFull(isFull: boolean): void;
}

/**
 * One process's output between its pipes and the worker: coalesced into chunks, kept until acknowledged. The first bytes
 * after a quiet moment go out at once; what follows within 20 ms waits for more.
 */
export class OutputWindow {
  #unacknowledged: OutputChunk[] = [];
  #acknowledged = 0;
  #cutBytes = 0;
  #pending: { stream: Stream; parts: Buffer[]; bytes: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #flushedAtMs = Number.NEGATIVE_INFINITY;
  #isFull = false;

  constructor(
    private readonly listener: OutputWindowListener,
    private readonly log: OutputLog,
  ) {}

  /** Bytes that were put in, acknowledged or not. */
  get totalBytes(): number {
    return this.#cutBytes + (this.#pending?.bytes ?? 0);
  }

  /** Offset of the first byte that was not acknowledged. */
  get acknowledgedBytes(): number {
    return this.#acknowledged;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  push(stream: Stream, data: Buffer): void {
    if (this.#pending && this.#pending.stream !== stream) this.flush();
    this.log.write(data);
    this.#pending ??= { stream, parts: [], bytes: 0 };
    this.#pending.parts.push(data);
    this.#pending.bytes += data.length;
    this.#updateFull();
    const sinceFlushMs = performance.now() - this.#flushedAtMs;
    if (this.#pending.bytes >= COALESCE_BYTES || sinceFlushMs >= COALESCE_MS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), COALESCE_MS - sinceFlushMs);
  }

  /** Gives what waits for more to the listener now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#pending) return;
    const { stream, parts } = this.#pending;
    this.#pending = undefined;
    const data = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const chunk = { stream, offset: this.#cutBytes, data };
    this.#cutBytes += data.length;
    this.#unacknowledged.push(chunk);
    this.#flushedAtMs = performance.now();
    this.listener.onChunk(chunk);
  }

  /** Everything below `offset` is recorded. An offset that was never sent, or was acknowledged before, changes nothing. */
  acknowledge(offset: number): void {
    if (offset <= this.#acknowledged || offset > this.#cutBytes) return;
    this.#acknowledged = offset;
    while (this.#unacknowledged[0] && end(this.#unacknowledged[0]) <= offset) this.#unacknowledged.shift();
    this.#updateFull();
  }

  /** Gives the unacknowledged output again, after a reconnect. */
  resend(): void {
    for (const chunk of this.#unacknowledged) {
      const known = Math.max(0, this.#acknowledged - chunk.offset);
      this.listener.onChunk({ ...chunk, offset: chunk.offset + known, data: chunk.data.subarray(known) });
    }
  }

  #updateFull(): void {
    const unacknowledgedBytes = this.totalBytes - this.#acknowledged;
    const isFull = unacknowledgedBytes >= (this.#isFull ? RESUME_BELOW_BYTES : WINDOW_BYTES);
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.listener.onFull(isFull);
  }
}

const end = (chunk: OutputChunk): number => chunk.offset + chunk.data.length;
