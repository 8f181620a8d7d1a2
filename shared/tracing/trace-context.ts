/**
 * Where a trace comes from, as it travels: W3C's `traceparent`, a blank and `tracestate` where there is one; "" for nothing.
 * One string, because a call's record holds it.
 */
export type TraceContext = string;

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** As long as W3C asks that one is passed on. */
const MAX_TRACESTATE = 512;

/** @param header a client's words: what is malformed counts as absent */
export const toTraceContext = (traceparent: unknown, tracestate: unknown): TraceContext => {
  if (typeof traceparent !== "string" || !TRACEPARENT.test(traceparent)) return "";
  const isState = typeof tracestate === "string" && tracestate !== "" && tracestate.length <= MAX_TRACESTATE;
  return isState ? `${traceparent} ${tracestate}` : traceparent;
};

export const carrierOf = (trace: TraceContext): { traceparent?: string; tracestate?: string } => {
  if (trace === "") return {};
  const [traceparent = ""] = trace.split(" ", 1);
  const tracestate = trace.slice(traceparent.length + 1);
  return { traceparent, ...(tracestate ? { tracestate } : {}) };
};

/** For logs: `{trace}`, or nothing to say. */
export const traceIdOf = (trace: TraceContext): { trace?: string } => {
  const id = TRACEPARENT.exec(trace.split(" ", 1)[0] ?? "")?.[1];
  return id ? { trace: id } : {};
};
