import type { ServerResponse } from "node:http";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type McpServer,
  type RequestId,
  type Server,
  type Transport,
} from "@modelcontextprotocol/server";
import { KEEP_ALIVE_MS } from "../event-stream.ts";

/** A client that reads nothing for so long that this much waits for it is let go. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

/** The stream of one client of the HTTP+SSE transport, with the MCP server behind it. Ends with its response. */
export class SseStream {
  readonly #transport: SSEServerTransport;
  /** JSON-RPC ids of requests without an answer yet, and the calls that they made. */
  readonly #open = new Map<RequestId, string | undefined>();
  readonly #cancelled = new Set<RequestId>();
  #isEnding = false;

  /** @param endpoint the path that the client is told to send its messages to */
  constructor(
    private readonly response: ServerResponse,
    endpoint: string,
    private readonly cancelCall: (callId: string) => void,
  ) {
    response.setHeader("x-accel-buffering", "no");
    this.#transport = new SSEServerTransport(endpoint, response);
  }

  get id(): string {
    return this.#transport.sessionId;
  }

  /** Sends the client its endpoint, and answers from then on. */
  async start(server: Server | McpServer): Promise<void> {
    const { response } = this;
    const send = this.#transport.send.bind(this.#transport);
    this.#transport.send = async (message) => {
      await send(message);
      if (response.writableLength > MAX_UNSENT_BYTES) response.destroy();
      if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) this.#answered(message.id);
    };
    const keepAlive = setInterval(() => response.write(": \n\n"), KEEP_ALIVE_MS);
    response.once("close", () => clearInterval(keepAlive));
    await server.connect(this.#transport as Transport); // the two SDKs' types differ, what they carry does not
  }

  receive(message: JSONRPCMessage): void {
    if (isJSONRPCRequest(message)) this.#open.set(message.id, undefined);
    if ("method" in message && message.method === "notifications/cancelled") this.#cancel(message);
    else this.#transport.handleMessage(message).catch(() => {}); // the stream has ended meanwhile
  }

  /** A request turned out to be this call: a cancel names only the former. */
  submitted(requestId: RequestId, callId: string): void {
    this.#open.set(requestId, callId);
    if (this.#cancelled.delete(requestId)) this.cancelCall(callId);
  }

  /** Ends it once every request was answered. */
  drain(): void {
    this.#isEnding = true;
    if (this.#open.size === 0) this.response.end();
  }

  end(): void {
    this.response.end();
  }

  #cancel({ params }: { params?: Record<string, unknown> | undefined }): void {
    const id = params?.requestId as RequestId | undefined;
    if (id === undefined || !this.#open.has(id)) return;
    const callId = this.#open.get(id);
    if (callId) this.cancelCall(callId);
    else this.#cancelled.add(id);
  }

  #answered(id: RequestId | undefined): void {
    if (id === undefined) return;
    this.#open.delete(id);
    this.#cancelled.delete(id);
    if (this.#isEnding && this.#open.size === 0) this.response.end();
  }
}
