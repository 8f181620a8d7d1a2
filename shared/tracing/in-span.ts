import {
  type Attributes,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { ToolFailure } from "../failure.ts";
import { VERSION } from "../version.ts";
import { carrierOf, type TraceContext, toTraceContext } from "./trace-context.ts";

const tracer = trace.getTracer("codegen-mcp", VERSION);

export interface SpanOptions {
  kind: keyof typeof SpanKind;
  /** Where the trace comes from; absent for the span that this code runs in. */
  parent?: TraceContext;
  attributes: Attributes;
}

/**
 * Runs `work` in a span. Where nobody collects spans it costs next to nothing, and `own` is what came as parent: whoever
 * sent a `traceparent` finds its trace id in the logs all the same.
 * @param work `own` is for whoever goes on with the trace elsewhere
 */
export const inSpan = async <T>(
  name: string,
  { kind, parent, attributes }: SpanOptions,
  work: (own: TraceContext, span: Span) => Promise<T>,
): Promise<T> => {
  const from = parent === undefined ? context.active() : propagation.extract(ROOT_CONTEXT, carrierOf(parent));
  return await tracer.startActiveSpan(name, { kind: SpanKind[kind], attributes }, from, async (span) => {
    const carrier: { traceparent?: string; tracestate?: string } = {};
    propagation.inject(context.active(), carrier);
    const own = toTraceContext(carrier.traceparent, carrier.tracestate) || (parent ?? "");
    try {
      return await work(own, span);
    } catch (error) {
      failSpan(span, error instanceof ToolFailure ? error.code : "INTERNAL");
      throw error;
    } finally {
      span.end();
    }
  });
};

/** Says that the span's work failed: by its code, because a message may hold what a user wrote. */
export const failSpan = (span: Span, code: string): void => {
  span.setAttribute("error.type", code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
};

/** Whether this code runs in a span that somebody collects. */
export const isInSpan = (): boolean => trace.getActiveSpan()?.isRecording() ?? false;
