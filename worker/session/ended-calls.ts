import { ToolFailure } from "../../shared/failure.ts";
import type { CallId } from "../../shared/ids.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";

export type CallEnd = Parameters<SessionScripts["finish"]>[2];

/** A Redis that fails over, or that was told to sync every second only, loses the writes of its last moments. */
const ENDS_KEPT = 16;
const KEPT_BYTES_MAX = 16 * 1024;
const IDS_KEPT = 1_024;
/** An event's few bytes would keep the 8 KB slab alive that Node.js cut them from. Who waits reads the record. */
const NO_EVENT = Buffer.alloc(0);

/** What a session's owner remembers of calls that it ended, for records that forget it: none of them starts again. */
export class EndedCalls {
  readonly #ends = new Map<CallId, CallEnd>();
  readonly #ids = new Set<CallId>();

  add(end: CallEnd): void {
    this.#ids.add(end.callId);
    if (this.#ids.size > IDS_KEPT) this.#ids.delete(this.#ids.values().next().value!);
    if (end.outcome.length > KEPT_BYTES_MAX) return;
    this.#ends.set(end.callId, { ...end, event: NO_EVENT });
    if (this.#ends.size > ENDS_KEPT) this.#ends.delete(this.#ends.keys().next().value!);
  }

  has(callId: CallId): boolean {
    return this.#ids.has(callId);
  }

  /** How it ended, or that nobody knows any more how. */
  endOf(callId: CallId): CallEnd {
    const forgotten = new ToolFailure("OUTCOME_UNKNOWN", "The call ended, but its result was lost with the records");
    const outcome = JSON.stringify({ failure: forgotten.toRecord() });
    return this.#ends.get(callId) ?? { callId, state: "failed", outcome, event: NO_EVENT };
  }
}
