import type { SessionEvent } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import { type CallState, isFinalState, type Outcome } from "../../shared/call-record.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { CallWatcher } from "./call-watcher.ts";
import type { ProgressSink } from "./caller.ts";
import { OutputFollower, type OutputPosition } from "./output-follower.ts";

/** How often a call in flight is read although no event came: events may be lost, records are not. */
const REREAD_MS = 1_000;

export interface CallEnd {
  state: CallState;
  outcome: Outcome;
  notice?: string;
}

export interface WaitOptions {
  /** `performance.now()` at which the wait is over. */
  until: number;
  /** This request made the call: nothing of it can have been missed yet. */
  isNew: boolean;
  progress: ProgressSink | undefined;
  /** What of the output was told before. */
  outputFrom?: OutputPosition | undefined;
  signal: AbortSignal | undefined;
  /** Called about every second while the call is still queued. */
  onStillQueued(): Promise<void>;
}

/** Waits for a call's end: told by events, sure by reading its record every second. */
export class CallWaiter {
  constructor(private readonly deps: { watcher: CallWatcher; records: Records }) {}

  /** @returns the end, or undefined when the time was over or the signal aborted before it */
  async wait(sid: SessionId, callId: CallId, options: WaitOptions): Promise<CallEnd | undefined> {
    const { watcher, records } = this.deps;
    let resolve: (end: CallEnd | undefined) => void = () => {};
    const ended = new Promise<CallEnd | undefined>((settle) => {
      resolve = settle;
    });
    const { progress } = options;
    const follower = progress
      ? new OutputFollower({ records, sink: progress }, sid, callId, options.outputFrom)
      : undefined;

    const reread = async (): Promise<void> => {
      const state = await records.callState(sid, callId);
      if (state === "queued") return await options.onStillQueued();
      const call = state && isFinalState(state) ? await records.call(sid, callId) : undefined;
      if (!call?.outcome) return;
      resolve({ state: call.state, outcome: call.outcome, ...(call.notice ? { notice: call.notice } : {}) });
    };
    const rereadSoon = (): void => {
      reread().catch(() => {}); // Redis is away: the next reading may succeed
    };
    const onEvent = (event: SessionEvent): void => {
      follower?.onEvent(event);
      const { case: kind, value } = event.body;
      if (kind === "finished" && value.outcomeJson) {
        resolve({ state: value.state as CallState, outcome: JSON.parse(value.outcomeJson) as Outcome });
      } else if (kind === "finished" || kind === undefined) rereadSoon();
    };
    const onGap = (): void => {
      rereadSoon();
      void follower?.catchUp();
    };

    const unwatch = watcher.watch(sid, callId, { onEvent, onGap });
    if (!options.isNew) onGap();
    const rereading = setInterval(onGap, REREAD_MS);
    const over = setTimeout(() => resolve(undefined), Math.max(0, options.until - performance.now()));
    const onAbort = (): void => resolve(undefined);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.signal?.aborted) onAbort();
    try {
      return await ended;
    } finally {
      unwatch();
      clearInterval(rereading);
      clearTimeout(over);
      options.signal?.removeEventListener("abort", onAbort);
      await follower?.end();
    }
  }
}
