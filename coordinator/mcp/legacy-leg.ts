import {
  isInitializeRequest,
  isJSONRPCRequest,
  type JSONRPCMessage,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import type { Logger } from "pino";
import { sessionOf } from "../../shared/ids.ts";
import type { LaneCalls } from "../calls/lane-calls.ts";
import type { SessionOpener } from "../calls/session-opener.ts";
import type { ToolService } from "../tool-service.ts";
import type { McpSession, McpSessions } from "./mcp-sessions.ts";
import { createServer, type RequestContext } from "./server-factory.ts";

const SESSION_HEADER = "mcp-session-id";
const KEEP_ALIVE_MS = 10_000;

/** What the endpoint knows of a request. */
type Asked = Pick<RequestContext, "principal" | "receivedAt" | "offer">;

/** A JSON-RPC error as the whole HTTP answer. */
export const rpcError = (
  status: number,
  code: number,
  message: string,
  headers: Record<string, string> = {},
): Response => Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status, headers });

/**
 * Serves the 2025 protocols without affinity: `initialize` mints a session id that lives in Redis, and every later POST
 * gets a fresh transport on whichever replica it hits. The SDK's own sessionful wiring keeps its sessions in memory.
 */
export class LegacyLeg {
  constructor(
    private readonly deps: {
      sessions: McpSessions;
      tools: ToolService;
      calls: LaneCalls;
      opener: SessionOpener;
      log: Logger;
    },
  ) {}

  async fetch(request: Request, body: unknown, asked: Asked): Promise<Response> {
    if (request.method === "POST") return await this.#post(request, body, asked);
    if (request.method === "DELETE") return await this.#delete(request, asked.principal);
    return rpcError(405, -32_000, "Method not allowed: this server sends nothing outside of requests", {
      allow: "POST, DELETE",
    });
  }

  async #post(request: Request, body: unknown, asked: Asked): Promise<Response> {
    const { principal } = asked;
    const messages = (Array.isArray(body) ? body : [body]) as JSONRPCMessage[];
    const { sessions } = this.deps;
    if (messages.some((message) => isInitializeRequest(message))) {
      const response = await this.#serve(request, body, asked, undefined);
      if (!response.ok) return response;
      response.headers.set(SESSION_HEADER, await sessions.create(principal));
      return response;
    }
    const found = await this.#session(request, principal);
    if (found instanceof Response) return found;
    for (const message of messages) await this.#noticeCancel(message, found);
    return await this.#serve(request, body, asked, found);
  }

  async #delete(request: Request, principal: string): Promise<Response> {
    const found = await this.#session(request, principal);
    if (found instanceof Response) return found;
    if (found.boundSession) await this.deps.opener.discard(found.boundSession, principal);
    await this.deps.sessions.delete(found.id, principal);
    return new Response(null, { status: 200 });
  }

  async #session(request: Request, principal: string): Promise<McpSession | Response> {
    const id = request.headers.get(SESSION_HEADER);
    if (!id) return rpcError(400, -32_000, "Bad Request: Mcp-Session-Id header is required");
    return (await this.deps.sessions.find(id, principal)) ?? rpcError(404, -32_001, "Session not found");
  }

  async #noticeCancel(message: JSONRPCMessage, session: McpSession): Promise<void> {
    if (!("method" in message) || message.method !== "notifications/cancelled") return;
    const requestId = message.params?.requestId as string | number | undefined;
    if (requestId === undefined) return;
    const callId = await this.deps.sessions.callOf(session.id, requestId);
    if (callId) await this.deps.calls.cancel(sessionOf(callId), callId);
  }

  async #serve(request: Request, body: unknown, asked: Asked, mcpSession: McpSession | undefined): Promise<Response> {
    const { sessions, tools, log } = this.deps;
    const server = createServer(tools, {
      ...asked,
      era: "legacy",
      mcpSession,
      onSubmitted: (requestId, callId) => {
        if (!mcpSession) return;
        sessions
          .note(mcpSession.id, requestId, callId)
          .catch((err: unknown) => log.warn({ err }, "a call was not noted"));
      },
    });
    const transport = new WebStandardStreamableHTTPServerTransport({ keepAliveMs: KEEP_ALIVE_MS });
    await server.connect(transport);
    const response = await transport.handleRequest(request, { parsedBody: body });
    const requests = (Array.isArray(body) ? body : [body]).filter((message) => isJSONRPCRequest(message));
    return whenSent(response, (isWhole) => {
      void server.close();
      if (!mcpSession || !isWhole) return; // a client that went away may still cancel the call
      for (const { id } of requests) sessions.forget(mcpSession.id, id).catch(() => {}); // it expires with its session
    });
  }
}

/** Runs `then` once the body was read to its end, or given up. */
const whenSent = (response: Response, then: (isWhole: boolean) => void): Response => {
  if (!response.body) {
    then(true);
    return response;
  }
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  response.body.pipeTo(writable).then(
    () => then(true),
    () => then(false),
  );
  return new Response(readable, { status: response.status, headers: response.headers });
};
