import { isFinalState } from "../../shared/call-record.ts";
import { findTool } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, isCallId, sessionOf } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { Caller } from "../calls/caller.ts";
import type { OutputPosition } from "../calls/output-follower.ts";
import { answer, type ToolResult, textAnswer } from "../tool-answer.ts";
import type { ToolRunner } from "../tool-runner.ts";
import { codegenTexts, progressOf, ticket } from "./codegen-mcp-texts.ts";

type Structured = Record<string, unknown>;

/** CodeGen-MCP gives no more than the first so many entries of a folder. */
const MAX_ENTRIES = 5_000;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Which of our tools does the work of one of CodeGen-MCP's, and with which arguments. */
const TARGETS: Record<string, (args: Structured) => [tool: string, args: Structured]> = {
  "fs.read": ({ path }) => ["read_file", { path }],
  "fs.write": ({ path, content, contents }) => ["write_file", { path, content: content ?? contents ?? "" }],
  "fs.list": ({ path }) => ["list_files", { path: path || ".", include_hidden: true, limit: MAX_ENTRIES }],
  "run.python": ({ code, file }) => {
    if (code) return ["run_command", { command: "python3 -", stdin: code }];
    if (file) return ["run_command", { command: `python3 ${quoted(String(file).replace(/^-/, "./-"))}` }];
    throw new ToolFailure("INVALID_ARGUMENT", "must provide either 'code' or 'file' parameter");
  },
  "pkg.install": ({ packages }) => [
    "install_packages",
    { manager: "pip", packages: String(packages).split(/\s+/).filter(Boolean) },
  ],
  "artifact.get": ({ artifact_id }) => ["get_artifact", { artifact_id }],
};

/** The nine tools of AltairaLabs CodeGen-MCP, each done by one of ours and answered in that project's words. */
export class CodegenMcpTools {
  constructor(private readonly deps: { runner: ToolRunner; records: Records; scripts: SessionScripts }) {}

  /** @throws {ToolFailure} as the tool does that does the work */
  async call(name: string, args: Structured, caller: Caller): Promise<ToolResult> {
    const { session_id, idempotency_key, ...own } = args;
    if (name === "echo") return textAnswer(String(own.message), { message: own.message });
    if (name.startsWith("task.")) return await this.#task(name, String(own.task_id), caller);
    const [tool, rest] = TARGETS[name]?.(own) ?? [name, own];
    const addressed = {
      ...rest,
      ...(session_id === undefined ? {} : { session_id }),
      ...(idempotency_key === undefined ? {} : { idempotency_key }),
    };
    const target = findTool(tool);
    if (!target) throw new ToolFailure("UNSUPPORTED", `This server cannot do ${name} yet: it has no ${tool}`);
    return await this.#tell(tool, await this.deps.runner.run(target, addressed, caller), caller);
  }

  /** Answers once more for a call that an earlier request made. */
  async resume(callId: CallId, caller: Caller, from: OutputPosition | undefined): Promise<ToolResult> {
    const call = await this.#find(callId, caller);
    const tool = call && findTool(call.tool);
    if (!tool) throw new ToolFailure("NOT_FOUND", `There is no call "${callId}" any more`);
    return await this.#tell(tool.name, await this.deps.runner.resume(tool, callId, caller, from), caller);
  }

  /** @param tool which of ours did the work */
  async #tell(tool: string, result: Structured, caller: Caller): Promise<ToolResult> {
    if ((result.status === "queued" || result.status === "running") && result.call_id) {
      const task = await this.#find(String(result.call_id), caller);
      if (task) return textAnswer(ticket(task, `Task ${task.id} queued for execution`), result);
    }
    return say(tool, result);
  }

  async #task(name: string, id: string, caller: Caller): Promise<ToolResult> {
    const task = await this.#find(id, caller);
    if (!task) {
      const failure = new ToolFailure("NOT_FOUND", `Task not found: ${id}`);
      return { ...textAnswer(failure.message, { ...failure.toRecord() }), isError: true };
    }
    const structured = { call_id: task.id, session_id: task.sessionId, status: task.state };
    if (name === "task.get_status") return textAnswer(ticket(task, progressOf(task)), structured);
    const tool = findTool(task.tool);
    if (!isFinalState(task.state) || !tool) {
      return textAnswer(ticket(task, `Task is ${task.state === "queued" ? "queued" : "running"}`), structured);
    }
    return say(tool.name, await this.deps.runner.resume(tool, task.id, caller, undefined));
  }

  /** @returns undefined for an id that is unknown, expired or another principal's */
  async #find(id: string, caller: Caller) {
    const { records, scripts } = this.deps;
    if (!isCallId(id)) return undefined;
    const sessionId = sessionOf(id);
    if (!(await scripts.touch(sessionId, caller.principal))) return undefined;
    const [call, sequence] = await Promise.all([records.call(sessionId, id), records.callSequence(sessionId, id)]);
    return call ? { ...call, sessionId, sequence } : undefined;
  }
}

const say = (tool: string, result: Structured): ToolResult => {
  const text = codegenTexts[tool];
  return text ? textAnswer(text(result), result) : answer(tool, result);
};
