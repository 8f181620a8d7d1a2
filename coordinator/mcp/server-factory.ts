import { ProtocolError, ProtocolErrorCode, Server } from "@modelcontextprotocol/server";
import { VERSION } from "../../shared/version.ts";
import type { Caller } from "../calls/caller.ts";
import type { ToolService } from "../tool-service.ts";
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
  /** A 2025-era request's JSON-RPC id belongs to a call from now on: a later cancel names only the former. */
  onSubmitted?: (requestId: string | number, callId: string) => void;
}

/** A fresh MCP server for one request, as the SDK wants it. Everything costly (the tool list) is built once. */
export const createServer = (tools: ToolService, context: RequestContext): Server => {
  const server = new Server(
    { name: "codegen-mcp", title: "codegen-mcp", version: VERSION },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  server.setRequestHandler("tools/list", () => ({ tools: context.offer.list }));
  server.setRequestHandler("tools/call", async ({ params }, ctx) => {
    const tool = context.offer.find(params.name);
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    const { id, _meta, signal, notify } = ctx.mcpReq;
    const token = _meta?.progressToken;
    const progress =
      token === undefined
        ? undefined
        : new ProgressNotifier((value, message) =>
            notify({ method: "notifications/progress", params: { progressToken: token, progress: value, message } }),
          );
    const { era, principal, receivedAt = performance.now(), mcpSession, onSubmitted } = context;
    try {
      return await tools.call(tool, params.arguments, {
        principal,
        receivedAt,
        mcpSession,
        progress,
        signal: era === "modern" ? signal : undefined,
        onSubmitted: (_, callId) => onSubmitted?.(id, callId),
      });
    } finally {
      progress?.end();
    }
  });
  return server;
};
