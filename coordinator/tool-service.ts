import type { Logger } from "pino";
import { z } from "zod";
import { findTool, type Tool } from "../shared/catalog/index.ts";
import { ToolFailure, toFailure } from "../shared/failure.ts";
import { isRedisAway } from "../shared/redis/connect.ts";
import type { Caller } from "./calls/caller.ts";
import type { LaneCalls } from "./calls/lane-calls.ts";
import type { CallMetrics } from "./metrics.ts";
import { render } from "./render.ts";
import type { ProcessTools } from "./tools/process-tools.ts";
import type { RecordTools } from "./tools/record-tools.ts";

type Structured = Record<string, unknown>;
type RecordTool = (args: never, caller: Caller) => Promise<Structured>;

/** A tool's answer as MCP carries it. */
export interface ToolResult {
  [key: string]: unknown;
  content: ({ type: "text"; text: string } | { type: "image"; data: string; mimeType: string })[];
  structuredContent: Structured;
  isError?: boolean;
}

/** One tool call from its arguments to its answer: checks, dispatches by class, translates failures, logs one line. */
export class ToolService {
  readonly #recordTools: Map<string, RecordTool>;

  constructor(
    private readonly deps: {
      lane: LaneCalls;
      records: RecordTools;
      processes: ProcessTools;
      metrics: CallMetrics;
      /** False while Redis is away. */
      isStoreThere: () => boolean;
      log: Logger;
    },
  ) {
    const { records, processes } = deps;
    this.#recordTools = new Map<string, RecordTool>([
      ["get_session", records.getSession.bind(records)],
      ["list_sessions", records.listSessions.bind(records)],
      ["get_call", records.getCall.bind(records)],
      ["list_calls", records.listCalls.bind(records)],
      ["read_process", processes.readProcess.bind(processes)],
      ["list_processes", processes.listProcesses.bind(processes)],
    ]);
  }

  /** @returns undefined when there is no such tool; never rejects */
  async call(name: string, rawArgs: unknown, caller: Caller): Promise<ToolResult | undefined> {
    const tool = findTool(name);
    if (!tool) return undefined;
    const { metrics, log } = this.deps;
    const ids: { call?: string; session?: string } = {};
    const noting: Caller = {
      ...caller,
      onSubmitted: (session, call) => {
        Object.assign(ids, { session, call });
        caller.onSubmitted?.(session, call);
      },
    };
    let code = "OK";
    try {
      return answer(tool, await this.#run(tool, checkArguments(tool, rawArgs), noting));
    } catch (error) {
      const failure = this.#explain(error);
      code = failure.code;
      if (code === "INTERNAL") log.error({ err: error, tool: name, ...ids }, "a call failed inside");
      return failed(failure);
    } finally {
      const durationMs = Math.round(performance.now() - caller.receivedAt);
      metrics.ended(name, code, durationMs);
      const line = { tool: name, ...ids, principal: caller.principal, code, durationMs };
      setImmediate(() => log.info(line, "call answered")); // its write would hold up the answer
    }
  }

  #explain(error: unknown): ToolFailure {
    if (error instanceof ToolFailure || (this.deps.isStoreThere() && !isRedisAway(error))) return toFailure(error);
    const message = "The server cannot reach its records now; whether the call was taken is unknown";
    return new ToolFailure("STORE_UNAVAILABLE", message, {
      cause: error,
      hint: "Repeat it in a moment; give calls that change something an idempotency_key.",
    });
  }

  async #run(tool: Tool, args: Structured, caller: Caller): Promise<Structured> {
    const record = this.#recordTools.get(tool.name);
    return record ? await record(args as never, caller) : await this.deps.lane.run(tool, args, caller);
  }
}

/** @throws {ToolFailure} INVALID_ARGUMENT that names every argument that is missing, malformed or unknown */
const checkArguments = (tool: Tool, raw: unknown): Structured => {
  const parsed = tool.input.safeParse(raw ?? {});
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  throw new ToolFailure("INVALID_ARGUMENT", `${tool.name} cannot take these arguments: ${what.join("; ")}`, {
    hint: `Its arguments are: ${Object.keys(tool.input.shape).join(", ")}.`,
    cause: z.prettifyError(parsed.error),
  });
};

const answer = (tool: Tool, result: Structured): ToolResult => {
  if (tool.name === "read_file" && String(result.mime).startsWith("image/") && typeof result.content === "string") {
    const { content, ...structuredContent } = result;
    return { content: [{ type: "image", data: content, mimeType: String(result.mime) }], structuredContent };
  }
  return { content: [{ type: "text", text: render(tool.name, result) }], structuredContent: result };
};

const failed = (failure: ToolFailure): ToolResult => {
  const text = `${failure.code}: ${failure.message}${failure.hint ? ` ${failure.hint}` : ""}`;
  return { content: [{ type: "text", text }], structuredContent: { ...failure.toRecord() }, isError: true };
};
