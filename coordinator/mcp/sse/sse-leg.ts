import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import {
  isJSONRPCRequest,
  isJsonContentType,
  type JSONRPCMessage,
  parseJSONRPCMessage,
} from "@modelcontextprotocol/server";
import type { Logger } from "pino";
import { type CallId, sessionOf } from "../../../shared/ids.ts";
import { carrierOf, toTraceContext } from "../../../shared/tracing/trace-context.ts";
import type { LaneCalls } from "../../calls/lane-calls.ts";
import { answerTooLarge } from "../answer-early.ts";
import type { McpSessions } from "../mcp-sessions.ts";
import type { Offer } from "../offers.ts";
import { readBody } from "../read-body.ts";
import type { McpRequest } from "../request.ts";
import type { ServerFactory } from "../server-factory.ts";
import type { SseInbox } from "./sse-inbox.ts";
import { SseStream } from "./sse-stream.ts";

/** As the v1 SDK bounds it. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const MAX_STREAMS = 10_000;
const MESSAGE_PATH = "/mcp/message";

/**
 * The HTTP+SSE transport of 2024-11-05: one replica holds a client's stream, and any replica takes its messages. A stream
 * that ends cancels nothing, and its workspace stays until it is idle for too long.
 */
export class SseLeg {
  readonly #streams = new Set<SseStream>();
  #isDraining = false;

  constructor(
    private readonly deps: {
      sessions: McpSessions;
      createServer: ServerFactory;
      calls: LaneCalls;
      inbox: SseInbox;
      log: Logger;
    },
  ) {}

  /** `GET /mcp/sse` */
  async open(request: McpRequest, response: ServerResponse, offer: Offer): Promise<void> {
    if (request.method !== "GET") return refuse(response, 405, "Open the stream with GET", { allow: "GET" });
    if (this.#isDraining || this.#streams.size >= MAX_STREAMS) return refuse(response, 503, "Try another replica");
    const { sessions, createServer, calls, inbox, log } = this.deps;
    const principal = request.auth.clientId;
    const cancel = (callId: string): void => {
      calls.cancel(sessionOf(callId as CallId), callId as CallId).catch(() => {}); // it ends by itself then
    };
    const query = request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : "";
    const stream = new SseStream(response, MESSAGE_PATH + query, cancel);
    await sessions.create(principal, stream.id);
    const close = inbox.open(stream.id, (message) => stream.receive(message));
    this.#streams.add(stream);
    response.once("close", () => {
      close();
      this.#streams.delete(stream);
      sessions.delete(stream.id, principal).catch((err: unknown) => log.debug({ err }, "it expires by itself"));
    });
    const server = createServer({
      era: "legacy",
      principal,
      offer,
      mcpSession: { id: stream.id, boundSession: undefined },
      onSubmitted: ({ requestId }, callId) => stream.submitted(requestId, callId),
    });
    await stream.start(server);
  }

  /** `POST /mcp/message?sessionId=…` */
  async receive(request: McpRequest, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") return refuse(response, 405, "Send messages with POST", { allow: "POST" });
    const body = await readBody(request, MAX_MESSAGE_BYTES);
    if (body === undefined) return await answerTooLarge(request, response, MAX_MESSAGE_BYTES);
    if (!isJsonContentType(request.headers["content-type"] ?? ""))
      return refuse(response, 415, "Send application/json");
    const id = new URL(request.url, "http://localhost").searchParams.get("sessionId") ?? "";
    if (!(await this.deps.sessions.find(id, request.auth.clientId))) return refuse(response, 404, "Session not found");
    const message = parse(body);
    if (!message) return refuse(response, 400, "The body is no JSON-RPC message");
    const traced = withTrace(message, request.headers);
    if (!(await this.deps.inbox.put(id, traced))) return refuse(response, 429, "Too many messages wait already");
    response.writeHead(202).end("Accepted");
  }

  /** Takes no more streams, and lets each end once its requests were answered. */
  drain(): void {
    this.#isDraining = true;
    for (const stream of this.#streams) stream.drain();
  }

  close(): void {
    for (const stream of this.#streams) stream.end();
  }
}

const parse = (text: string): JSONRPCMessage | undefined => {
  try {
    return parseJSONRPCMessage(JSON.parse(text));
  } catch {
    return undefined;
  }
};

/** Who answers a message sees no headers of its own: a trace that stands in them goes with it in `_meta`. */
const withTrace = (message: JSONRPCMessage, { traceparent, tracestate }: IncomingHttpHeaders): JSONRPCMessage => {
  const trace = toTraceContext(traceparent, tracestate);
  if (!trace || !isJSONRPCRequest(message) || message.params?._meta?.traceparent !== undefined) return message;
  const { params } = message;
  return { ...message, params: { ...params, _meta: { ...params?._meta, ...carrierOf(trace) } } };
};

const refuse = (response: ServerResponse, status: number, why: string, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { "content-type": "text/plain", ...headers }).end(why);
};
