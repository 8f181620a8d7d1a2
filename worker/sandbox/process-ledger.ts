import type { Exited, KnownProcess, Output } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ProtocolError } from "./protocol-error.ts";

/** The agent's window, and what may be under way when it fills. */
const UNACKNOWLEDGED_MAX_BYTES = 1024 * 1024 + 256 * 1024;
const FORGOTTEN_MAX = 10_000;

interface Entry {
  /** Offset of the next byte that was not seen yet. */
  nextOffset: number;
  acknowledged: number;
  hasExited: boolean;
}

/** What a sandbox's processes have said so far: drops what comes twice after a reconnect, and refuses what cannot be. */
export class ProcessLedger {
  readonly #entries = new Map<string, Entry>();
  readonly #forgotten = new Set<string>();

  /** Before its Spawn is sent. */
  begin(processId: string): void {
    this.#entries.set(processId, { nextOffset: 0, acknowledged: 0, hasExited: false });
  }

  /** Its exit is acknowledged, or it never started. */
  forget(processId: string): void {
    if (!this.#entries.delete(processId)) return;
    this.#forgotten.add(processId);
    if (this.#forgotten.size > FORGOTTEN_MAX) this.#forgotten.delete(this.#forgotten.values().next().value!);
  }

  /** A process of an earlier worker: what stands in the records of its output counts as seen. */
  resume(processId: string, recordedBytes: number): void {
    this.#entries.set(processId, { nextOffset: recordedBytes, acknowledged: recordedBytes, hasExited: false });
  }

  /** A process of an earlier worker that only the agent still knows. */
  adopt({ processId, outputOffset }: KnownProcess): void {
    if (this.#entries.has(processId) || this.#forgotten.has(processId)) return;
    const offset = Number(outputOffset);
    this.#entries.set(processId, { nextOffset: offset, acknowledged: offset, hasExited: false });
  }

  /** Processes that have not exited; forgets all. */
  takeRunning(): string[] {
    const running = [...this.#entries].filter(([, { hasExited }]) => !hasExited).map(([processId]) => processId);
    for (const processId of [...this.#entries.keys()]) this.forget(processId);
    return running;
  }

  acknowledge(processId: string, offset: number): void {
    const entry = this.#entries.get(processId);
    if (entry) entry.acknowledged = Math.max(entry.acknowledged, offset);
  }

  /** The part of the chunk that is new; undefined when none is. */
  onOutput({ processId, offset, data }: Output): { offset: number; data: Uint8Array } | undefined {
    const entry = this.#find(processId);
    if (!entry) return undefined;
    const start = Number(offset);
    const end = start + data.length;
    if (start > entry.nextOffset)
      throw new ProtocolError(`output of "${processId}" skips from ${entry.nextOffset} to ${start}`);
    if (end <= entry.nextOffset) return undefined;
    if (entry.hasExited) throw new ProtocolError(`output of "${processId}" after its end`);
    if (end - entry.acknowledged > UNACKNOWLEDGED_MAX_BYTES)
      throw new ProtocolError(`"${processId}" has ${end - entry.acknowledged} bytes of output unacknowledged`);
    const fresh = { offset: entry.nextOffset, data: data.subarray(entry.nextOffset - start) };
    entry.nextOffset = end;
    return fresh;
  }

  /** False when it was said before. */
  onExited({ processId, outputBytes }: Exited): boolean {
    const entry = this.#find(processId);
    if (!entry || entry.hasExited) return false;
    if (Number(outputBytes) !== entry.nextOffset)
      throw new ProtocolError(
        `"${processId}" ended after ${outputBytes} bytes of output, but sent ${entry.nextOffset}`,
      );
    entry.hasExited = true;
    return true;
  }

  #find(processId: string): Entry | undefined {
    const entry = this.#entries.get(processId);
    if (!entry && !this.#forgotten.has(processId))
      throw new ProtocolError(`news of "${processId}", which was never started`);
    return entry;
  }
}
