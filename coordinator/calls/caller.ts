import type { CallId, SessionId } from "../../shared/ids.ts";
import type { TraceContext } from "../../shared/tracing/trace-context.ts";

/** Told of a call's progress while its client waits. */
export interface ProgressSink {
  /** Output as it came. @param id the chunk, `<epoch>-<sequence>` */
  output(data: Buffer, isStderr: boolean, id: string): void;
  /** Some output before this offset was not told, and is no longer kept. */
  skipped(until: number): void;
  /** It wants no more for now, and calls `onRoom` when it does. */
  readonly isFull: boolean;
  onRoom: (() => void) | undefined;
  /** The call waits: `position` calls or sessions (itself included) are to be served until it is. */
  queued(position: number): void;
}

/** Who calls, how they want to be told, and where their session is named when the arguments name none. */
export interface Caller {
  principal: string;
  /** Where the trace that this call belongs to comes from. */
  trace?: TraceContext;
  /** `performance.now()` when the request came in: waits count from here. */
  receivedAt: number;
  /** Aborted when a 2026-era client goes away; 2025-era disconnects cancel nothing. */
  signal: AbortSignal | undefined;
  progress: ProgressSink | undefined;
  /** The `Mcp-Session-Id` of a 2025-era client, and the session bound to it. */
  mcpSession: { id: string; boundSession: SessionId | undefined } | undefined;
  /** Runs once the call's id is known and its record stands. */
  onSubmitted?: (sid: SessionId, callId: CallId) => void;
}
