import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type LoggingLevel,
  McpServer,
  ProtocolError,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { CONFORMANCE_WAIT_MS, type Tool } from "../../../shared/catalog/index.ts";
import type { ToolRunner } from "../../tool-runner.ts";
import type { ToolService } from "../../tool-service.ts";
import type { RedisEventBus } from "../redis-event-bus.ts";
import { INFO, type RequestContext, serve } from "../server-factory.ts";
import { fixtureResources, fixtureTemplates, readFixture } from "./fixture-resources.ts";
import { FixtureSink } from "./fixture-sink.ts";

type Json = Record<string, unknown>;

/** The SDK asks for a tool's schema before it calls it, to hold `Mcp-Param-*` headers against it. */
class FixtureServer extends McpServer {
  constructor(private readonly context: RequestContext) {
    super(INFO, { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } } });
  }
  override toolInputSchemaJson(name: string): Json | undefined {
    return this.context.offer.list.find((tool) => tool.name === name)?.inputSchema;
  }
}

/** The server that the MCP conformance suite meets under `CONFORMANCE_FIXTURES`: ours, with the suite's fixtures. */
export const createConformanceServer = (
  deps: { tools: ToolService; runner: ToolRunner; bus: RedisEventBus },
  context: RequestContext,
): McpServer => {
  const mcp = new FixtureServer(context);
  const { server } = mcp;
  const call = serve(server, deps.tools, context);
  server.setRequestHandler("tools/call", async (request, ctx) => {
    const tool = context.offer.find(request.params.name);
    if (tool?.toolset !== "conformance") return await call(request, ctx);
    const result = await callFixture(deps.runner, tool, context, ctx);
    if (tool.name === "test_trigger_tool_change") deps.bus.publish({ kind: "tools_list_changed" });
    return result;
  });
  server.setRequestHandler("resources/list", () => ({ resources: fixtureResources }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: fixtureTemplates }));
  server.setRequestHandler("resources/read", ({ params }) => ({ contents: [readFixture(params.uri)] }));
  if (context.era === "legacy") {
    server.setRequestHandler("resources/subscribe", () => ({}));
    server.setRequestHandler("resources/unsubscribe", () => ({}));
    server.setRequestHandler("logging/setLevel", () => ({}));
  }
  return mcp;
};

const callFixture = async (
  runner: ToolRunner,
  tool: Tool,
  context: RequestContext,
  ctx: ServerContext,
): Promise<CallToolResult> => {
  const { id, _meta, envelope, inputResponses, requestState, notify, log } = ctx.mcpReq;
  const token = _meta?.progressToken;
  const progress = new FixtureSink({
    log: ({ level, data }) => log(level as LoggingLevel, data),
    progress: ({ progress, total }) => {
      if (token === undefined) return;
      const params = { progressToken: token, progress: Number(progress), total: Number(total) };
      return notify({ method: "notifications/progress", params });
    },
  });
  const asked = {
    wait_ms: CONFORMANCE_WAIT_MS,
    input_responses: inputResponses,
    request_state: requestState(),
    capabilities: (envelope as Json | undefined)?.[CLIENT_CAPABILITIES_META_KEY],
  };
  const { mcp, error } = (await runner.run(tool, asked, {
    principal: context.principal,
    receivedAt: performance.now(),
    mcpSession: context.mcpSession,
    progress,
    signal: undefined,
    onSubmitted: (_, callId) => {
      context.onSubmitted?.({ requestId: id, tool: tool.name }, callId);
      if (tool.name === "test_reconnection") ctx.http?.closeSSE?.();
    },
  })) as { mcp?: CallToolResult; error?: { code: number; message: string; data?: unknown } };
  if (error) throw new ProtocolError(error.code, error.message, error.data);
  return mcp ?? { content: [], isError: true };
};
