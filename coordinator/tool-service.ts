import type { Span } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Tool } from "../shared/catalog/index.ts";
import { ToolFailure, toFailure } from "../shared/failure.ts";
import { type CallId, isSessionId, randomText } from "../shared/ids.ts";
import { isRedisAway } from "../shared/redis/connect.ts";
import { failSpan, inSpan } from "../shared/tracing/in-span.ts";
import { type TraceContext, traceIdOf } from "../shared/tracing/trace-context.ts";
import { hashRefused } from "./audit/refused-hash.ts";
import type { RequestTrail } from "./audit/request-trail.ts";
import type { Caller } from "./calls/caller.ts";
import type { OutputPosition } from "./calls/output-follower.ts";
import type { PrincipalDepth } from "./calls/principal-depth.ts";
import type { CoordinatorMetrics } from "./metrics.ts";
import { answer, failed, type ToolResult } from "./tool-answer.ts";
import { checkArguments, type ToolRunner } from "./tool-runner.ts";
import type { CodegenMcpTools } from "./tools/codegen-mcp-tools.ts";

/** One tool call as MCP asks for it: has it done, translates failures, counts it and logs one line. */
export class ToolService {
  constructor(
    private readonly deps: {
      runner: ToolRunner;
      codegenMcp: CodegenMcpTools;
      depth: PrincipalDepth;
      metrics: Pick<CoordinatorMetrics, "answered">;
      trail: Pick<RequestTrail, "note">;
      /** False while Redis is away. */
      isStoreThere: () => boolean;
      log: Logger;
    },
  ) {}

  /** Answers once more for a call that an earlier request made, with its output from a place on. Never rejects. */
  async resume(tool: Tool, callId: CallId, caller: Caller, from: OutputPosition | undefined): Promise<ToolResult> {
    const { runner, codegenMcp, log } = this.deps;
    log.info({ tool: tool.name, call: callId, principal: caller.principal }, "stream resumed");
    try {
      if (tool.toolset === "codegen-mcp") return await codegenMcp.resume(callId, caller, from);
      const result = await runner.resume(tool, callId, caller, from);
      return tool.toolset === "conformance" ? (result.mcp as ToolResult) : answer(tool.name, result);
    } catch (error) {
      return failed(this.#explain(error));
    }
  }

  /** Never rejects. */
  async call(tool: Tool, rawArgs: unknown, caller: Caller): Promise<ToolResult> {
    const attributes = {
      "mcp.method.name": "tools/call",
      "gen_ai.tool.name": tool.name,
      "codegen.principal": caller.principal,
    };
    const options = { kind: "SERVER" as const, parent: caller.trace ?? "", attributes };
    return await inSpan(`tools/call ${tool.name}`, options, (trace, span) =>
      this.#call(tool, rawArgs, { ...caller, trace }, span),
    );
  }

  async #call(tool: Tool, rawArgs: unknown, caller: Caller & { trace: TraceContext }, span: Span): Promise<ToolResult> {
    const { name } = tool;
    const { metrics, log } = this.deps;
    const ids: { call?: string; session?: string } = {};
    const noting: Caller = {
      ...caller,
      onSubmitted: (session, call) => {
        span.setAttributes({ "codegen.session": session, "codegen.call": call });
        Object.assign(ids, { session, call });
        caller.onSubmitted?.(session, call);
      },
    };
    let code = "OK";
    try {
      const work = (): Promise<ToolResult> => this.#answer(tool, rawArgs, noting);
      // Whoever is at their limit must still be able to kill and close.
      return await (tool.class === "control" ? work() : this.deps.depth.count(caller.principal, work));
    } catch (error) {
      const failure = this.#explain(error);
      code = failure.code;
      failSpan(span, code);
      if (code === "INTERNAL")
        log.error({ err: error, tool: name, ...ids, ...traceIdOf(caller.trace) }, "a call failed inside");
      return failed(failure);
    } finally {
      const durationMs = Math.round(performance.now() - caller.receivedAt);
      metrics.answered(name, code, durationMs);
      const line = { tool: name, ...ids, principal: caller.principal, ...traceIdOf(caller.trace), code, durationMs };
      const atMs = Date.now() - durationMs;
      setImmediate(() => {
        log.info(line, "call answered"); // its write would hold up the answer
        if (!ids.call) this.#note(name, rawArgs, { principal: caller.principal, code, atMs });
      });
    }
  }

  /** For the audit: calls tell of themselves, from their records. */
  #note(tool: string, rawArgs: unknown, { principal, code, atMs }: { principal: string; code: string; atMs: number }) {
    const args = (typeof rawArgs === "object" && rawArgs !== null ? rawArgs : {}) as Record<string, unknown>;
    const { session_id: named } = args;
    this.deps.trail.note({
      id: `req_${randomText(20)}`,
      principal,
      session: typeof named === "string" && isSessionId(named) ? named : "",
      tool,
      argumentsHash: hashRefused(tool, args),
      state: code === "OK" ? "done" : code === "CANCELLED" ? "cancelled" : "failed",
      outcome: code,
      exitCode: null,
      outputBytes: 0,
      worker: "",
      submittedAt: atMs,
      startedAt: atMs,
      endedAt: Date.now(),
    });
  }

  async #answer(tool: Tool, rawArgs: unknown, caller: Caller): Promise<ToolResult> {
    const { runner, codegenMcp } = this.deps;
    if (tool.toolset === "codegen-mcp") return await codegenMcp.call(tool.name, checkArguments(tool, rawArgs), caller);
    return answer(tool.name, await runner.run(tool, rawArgs, caller));
  }

  #explain(error: unknown): ToolFailure {
    if (error instanceof ToolFailure || (this.deps.isStoreThere() && !isRedisAway(error))) return toFailure(error);
    const message = "The server cannot reach its records now; whether the call was taken is unknown";
    return new ToolFailure("STORE_UNAVAILABLE", message, {
      cause: error,
      hint: "Repeat it in a moment; give calls that change something an idempotency_key.",
    });
  }
}
