import {
  type CallToolRequest,
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { CallId } from "../../shared/ids.ts";
import { toTraceContext } from "../../shared/tracing/trace-context.ts";
import { VERSION } from "../../shared/version.ts";
import type { FileResources } from "../artifacts/file-resources.ts";
import type { Caller } from "../calls/caller.ts";
import type { ToolResult } from "../tool-answer.ts";
import type { ToolService } from "../tool-service.ts";
import type { NotedRequest } from "./mcp-sessions.ts";
import type { Offer } from "./offers.ts";
import { ProgressNotifier } from "./progress-notifier.ts";

const INSTRUCTIONS =
  "Runs code in isolated Linux sandboxes. run_command, write_file and the other tools work in your default session at once; make more with create_session. A call that outlives its wait goes on: follow it with get_call or read_process.";

/** What one HTTP request says of its caller, before any tool is named. */
export interface RequestContext {
  era: "modern" | "legacy";
  offer: Offer;
  principal: string;
  /** Where a server serves more than one request, each counts from when it comes to it. */
  receivedAt?: number;
  mcpSession: Caller["mcpSession"];
  /** A 2025-era request belongs to a call from now on: a later cancel names only the former. */
  onSubmitted?: (request: NotedRequest, callId: CallId) => void;
  /** A progress message with this number tells the output up to the chunk `cursor`. */
  onTold?: (progress: number, cursor: string) => void;
}

const TEMPLATES = [
  {
    uriTemplate: "codegen://{session_id}/{+path}",
    name: "file",
    description: "A file in a session's workspace, up to 8 MiB; get_artifact has larger ones.",
  },
];

type CallTool = (request: CallToolRequest, ctx: ServerContext) => Promise<ToolResult>;

export const INFO = { name: "codegen-mcp", title: "codegen-mcp", version: VERSION };

/** Makes the MCP server of one request, or of one stream. */
export type ServerFactory = (context: RequestContext) => Server | McpServer;

/** A fresh MCP server for one request, as the SDK wants it. Everything costly (the tool list) is built once. */
export const createServer = (
  { tools, resources }: { tools: ToolService; resources: FileResources },
  context: RequestContext,
): Server => {
  const capabilities = { tools: {}, resources: {} };
  const server = new Server(INFO, { capabilities, instructions: INSTRUCTIONS });
  serve(server, tools, context);
  const callerNow = (): Caller => {
    const { principal, mcpSession } = context;
    return { principal, receivedAt: performance.now(), mcpSession, progress: undefined, signal: undefined };
  };
  server.setRequestHandler("resources/list", async () => ({ resources: await resources.list(callerNow()) }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: TEMPLATES }));
  server.setRequestHandler("resources/read", async ({ params }) => ({
    contents: await resources.read(params.uri, callerNow()),
  }));
  return server;
};

/** Answers for tools. @returns how a tool is called */
export const serve = (server: Server, tools: ToolService, context: RequestContext): CallTool => {
  server.setRequestHandler("tools/list", () => ({ tools: context.offer.list }));
  const call: CallTool = async ({ params }, ctx) => {
    const tool = context.offer.find(params.name);
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    const { id, _meta, signal, notify } = ctx.mcpReq;
    const token = _meta?.progressToken;
    const progress =
      token === undefined
        ? undefined
        : new ProgressNotifier((value, message, cursor) => {
            context.onTold?.(value, cursor);
            return notify({
              method: "notifications/progress",
              params: { progressToken: token, progress: value, message },
            });
          });
    const { era, principal, receivedAt = performance.now(), mcpSession, onSubmitted } = context;
    try {
      return await tools.call(tool, params.arguments, {
        principal,
        trace: traceOf(ctx),
        receivedAt,
        mcpSession,
        progress,
        signal: era === "modern" ? signal : undefined,
        onSubmitted: (_, callId) =>
          onSubmitted?.(
            { requestId: id, tool: tool.name, ...(token === undefined ? {} : { progressToken: token }) },
            callId,
          ),
      });
    } finally {
      progress?.end();
    }
  };
  server.setRequestHandler("tools/call", call);
  return call;
};

/** A request says its trace in `_meta`, or its HTTP request does in headers. */
const traceOf = ({ mcpReq: { _meta }, http }: ServerContext): string => {
  const headers = http?.req?.headers;
  return (
    toTraceContext(_meta?.traceparent, _meta?.tracestate) ||
    toTraceContext(headers?.get("traceparent"), headers?.get("tracestate"))
  );
};
