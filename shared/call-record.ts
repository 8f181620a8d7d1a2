import type { FailureRecord } from "./failure.ts";
import type { CallId } from "./ids.ts";
import { type Hash, optional } from "./redis/hash.ts";
import type { TraceContext } from "./tracing/trace-context.ts";

export type CallState =
  | "queued"
  | "running"
  | "detached"
  | "done"
  | "failed"
  | "cancelled"
  | "outcome_unknown"
  | "session_reset";

const isFinal = new Set<CallState>(["done", "failed", "cancelled", "outcome_unknown", "session_reset"]);
export const isFinalState = (state: CallState): boolean => isFinal.has(state);

/** How a call ended: a tool's structured result, or its failure. */
export type Outcome = { result: Record<string, unknown> } | { failure: FailureRecord };

export interface CallSummary {
  id: CallId;
  tool: string;
  state: CallState;
  submittedAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  /** It has started, or is to start, a process. */
  hasProcess: boolean;
}

export interface CallRecord extends CallSummary {
  /** Until the call ends. */
  args: string;
  /** Of the session when it started; 0 before. A lower one than the owner's: an earlier owner started it. */
  epoch: number;
  /** When it leaves its lane although it still runs, ms. */
  detachAt: number;
  /** Which of its session's mutating calls it is, from 1; 0 for none. */
  mutation: number;
  trace: TraceContext;
  outcome: Outcome | undefined;
  notice: string | undefined;
}

export const SUMMARY = ["tool", "state", "submitted_at", "started_at", "ended_at", "has_process"];
export const toSummary = (id: CallId, h: Hash): CallSummary => ({
  id,
  tool: h.tool ?? "",
  state: h.state as CallState,
  submittedAt: Number(h.submitted_at),
  startedAt: optional(h.started_at),
  endedAt: optional(h.ended_at),
  hasProcess: h.tool === "run_command" || h.has_process === "1",
});

export const toCall = (id: CallId, h: Hash): CallRecord => ({
  ...toSummary(id, h),
  args: h.args ?? "{}",
  epoch: Number(h.epoch ?? 0),
  detachAt: Number(h.detach_at),
  mutation: Number(h.mutation ?? 0),
  trace: h.trace ?? "",
  outcome: h.outcome ? (JSON.parse(h.outcome) as Outcome) : undefined,
  notice: h.notice,
});
