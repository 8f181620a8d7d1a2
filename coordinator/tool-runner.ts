import type { Tool } from "../shared/catalog/index.ts";
import { ToolFailure } from "../shared/failure.ts";
import type { CallId } from "../shared/ids.ts";
import type { ArtifactLinks } from "./artifacts/artifact-links.ts";
import { parseArtifactId } from "./artifacts/artifact-links.ts";
import { linkedResult } from "./artifacts/linked-result.ts";
import type { Caller } from "./calls/caller.ts";
import type { LaneCalls } from "./calls/lane-calls.ts";
import type { OutputPosition } from "./calls/output-follower.ts";
import type { CheckpointTools } from "./tools/checkpoint-tools.ts";
import type { ProcessTools } from "./tools/process-tools.ts";
import type { RecordTools } from "./tools/record-tools.ts";

type Structured = Record<string, unknown>;
type RecordTool = (args: never, caller: Caller) => Promise<Structured>;

/** From a tool's arguments to its structured result: checks them, and dispatches by class. */
export class ToolRunner {
  readonly #lane: LaneCalls;
  readonly #links: ArtifactLinks;
  readonly #recordTools: Map<string, RecordTool>;

  constructor(deps: {
    lane: LaneCalls;
    links: ArtifactLinks;
    records: RecordTools;
    processes: ProcessTools;
    checkpoints: CheckpointTools;
  }) {
    const { lane, links, records, processes, checkpoints } = deps;
    this.#lane = lane;
    this.#links = links;
    this.#recordTools = new Map<string, RecordTool>([
      ["get_session", records.getSession.bind(records)],
      ["list_sessions", records.listSessions.bind(records)],
      ["get_call", records.getCall.bind(records)],
      ["list_calls", records.listCalls.bind(records)],
      ["read_process", processes.readProcess.bind(processes)],
      ["list_processes", processes.listProcesses.bind(processes)],
      ["list_checkpoints", checkpoints.list.bind(checkpoints)],
      ["delete_checkpoint", checkpoints.delete.bind(checkpoints)],
      ["fork_session", checkpoints.fork.bind(checkpoints)],
    ]);
  }

  /** @throws {ToolFailure} the tool's own, or why it was not taken */
  async run(tool: Tool, rawArgs: unknown, caller: Caller): Promise<Structured> {
    const args = withPath(tool, checkArguments(tool, rawArgs));
    const record = this.#recordTools.get(tool.name);
    const result = record ? await record(args as never, caller) : await this.#lane.run(tool, args, caller);
    return await linkedResult(this.#links, tool.name, result, caller);
  }

  /** Waits on for a call that an earlier request made. @throws {ToolFailure} the tool's own */
  async resume(tool: Tool, callId: CallId, caller: Caller, from: OutputPosition | undefined): Promise<Structured> {
    const result = await this.#lane.resume(tool, callId, caller, from);
    return await linkedResult(this.#links, tool.name, result, caller);
  }
}

/** An artifact's id names its session and path; what is no such id is taken for a path, as CodeGen-MCP's clients use it. */
const withPath = (tool: Tool, args: Structured): Structured => {
  if (!("artifact_id" in tool.input.shape)) return args;
  const { artifact_id: id, ...rest } = args;
  if ((id === undefined) === (rest.path === undefined))
    throw new ToolFailure("INVALID_ARGUMENT", `${tool.name} takes either artifact_id or path`);
  if (id === undefined) return rest;
  const parsed = parseArtifactId(String(id));
  return parsed ? { ...rest, session_id: parsed.sessionId, path: parsed.path } : { ...rest, path: String(id) };
};

/** Of what is told about arguments, in characters: they may hold a million wrong names. */
const MAX_TOLD = 1_000;

/** @throws {ToolFailure} INVALID_ARGUMENT that names the arguments that are missing, malformed or unknown */
export const checkArguments = (tool: Tool, raw: unknown): Structured => {
  const parsed = tool.input.safeParse(raw ?? {});
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  const all = issues.join("; ");
  const what = all.length > MAX_TOLD ? `${all.slice(0, MAX_TOLD)}…` : all;
  throw new ToolFailure("INVALID_ARGUMENT", `${tool.name} cannot take these arguments: ${what}`, {
    hint: `Its arguments are: ${Object.keys(tool.input.shape).join(", ")}.`,
  });
};
