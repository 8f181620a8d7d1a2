import {
  isInitializeRequest,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type RequestId,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import type { Logger } from "pino";
import { type CallId, sessionOf } from "../../shared/ids.ts";
import type { LaneCalls } from "../calls/lane-calls.ts";
import type { SessionOpener } from "../calls/session-opener.ts";
import { EventIds } from "./event-ids.ts";
import { KEEP_ALIVE_MS } from "./event-stream.ts";
import type { McpSession, McpSessions } from "./mcp-sessions.ts";
import type { RequestContext, ServerFactory } from "./server-factory.ts";
import type { StreamResumer } from "./stream-resumer.ts";

const SESSION_HEADER = "mcp-session-id";
/** How soon a client that lost its stream should come back. */
const RETRY_MS = 500;

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
      createServer: ServerFactory;
      calls: LaneCalls;
      opener: SessionOpener;
      resumer: StreamResumer;
      log: Logger;
    },
  ) {}

  async fetch(request: Request, body: unknown, asked: Asked): Promise<Response> {
    if (request.method === "POST") return await this.#post(request, body, asked);
    if (request.method === "DELETE") return await this.#delete(request, asked.principal);
    const lastEventId = request.headers.get("last-event-id");
    if (request.method === "GET" && lastEventId) return await this.#resume(request, asked.principal, lastEventId);
    return rpcError(405, -32_000, "Method not allowed: this server sends nothing outside of requests' streams", {
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

  async #resume(request: Request, principal: string, lastEventId: string): Promise<Response> {
    const found = await this.#session(request, principal);
    if (found instanceof Response) return found;
    const resumed = await this.deps.resumer.resume(found, principal, lastEventId);
    return resumed ?? rpcError(400, -32_000, "Bad Request: Last-Event-ID names no event of this session");
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
    const callId = await this.deps.sessions.openCallOf(session.id, requestId);
    if (callId) await this.deps.calls.cancel(sessionOf(callId), callId);
  }

  async #serve(request: Request, body: unknown, asked: Asked, mcpSession: McpSession | undefined): Promise<Response> {
    const { sessions, createServer, log } = this.deps;
    const events = mcpSession ? eventIdsOf(body) : undefined;
    const made = new Map<RequestId, CallId>();
    const server = createServer({
      ...asked,
      era: "legacy",
      mcpSession,
      onTold: (progress, cursor) => events?.told(progress, cursor),
      onSubmitted: (noted, callId) => {
        if (!mcpSession) return;
        if (events) events.callId = callId;
        made.set(noted.requestId, callId);
        sessions.note(mcpSession.id, noted, callId).catch((err: unknown) => log.warn({ err }, "a call was not noted"));
      },
    });
    const transport = new WebStandardStreamableHTTPServerTransport({
      keepAliveMs: KEEP_ALIVE_MS,
      retryInterval: RETRY_MS,
      ...(events ? { eventStore: events } : {}),
    });
    await server.connect(transport);
    const response = await transport.handleRequest(request, { parsedBody: body });
    return whenSent(response, (isWhole) => {
      void server.close();
      if (!mcpSession || !isWhole) return; // a client that went away may still cancel the call
      for (const [requestId, callId] of made) {
        sessions.answered(mcpSession.id, requestId, callId).catch(() => {}); // it expires by itself
      }
    });
  }
}

/** Streams of one tool call can be resumed. Everything else is quick and harmless to ask for again. */
const eventIdsOf = (body: unknown): EventIds | undefined =>
  isJSONRPCRequest(body) && body.method === "tools/call" ? new EventIds(body.id) : undefined;

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
