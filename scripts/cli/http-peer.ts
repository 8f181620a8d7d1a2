import { setTimeout as sleep } from "node:timers/promises";
import { sseEvents } from "./sse-events.ts";

export interface RpcMessage {
  jsonrpc: "2.0";
  id?: string | number;
  method?: string;
  params?: { name?: string; uri?: string; requestId?: string | number; _meta?: Record<string, unknown> };
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

export const PROTOCOL_META_KEY = "io.modelcontextprotocol/protocolVersion";
const CONNECT_MS = 10_000;
const RETRY_MS = 500;
/** A stream that broke is asked for so many times before its request is given up. */
const MAX_RESUMES = 10;
const FAILED = -32_000;

/**
 * Sends JSON-RPC messages to a streamable HTTP server, of either era, and passes on what it answers. A server that is
 * just not there is tried again for ten seconds; a 2025-era stream that breaks is resumed.
 */
export class HttpPeer {
  #mcpSession: string | undefined;
  #protocol: string | undefined;
  readonly #open = new Map<string | number, AbortController>();

  constructor(
    private readonly url: string,
    private readonly onMessage: (message: RpcMessage) => void,
    private readonly token = "",
  ) {}

  /** Resolves when everything that belongs to the message has been passed on; never rejects. */
  async send(message: RpcMessage): Promise<void> {
    if (message.method === "notifications/cancelled" && !this.#mcpSession) {
      const id = message.params?.requestId;
      if (id !== undefined) this.#open.get(id)?.abort(); // in the 2026 era, closing the stream cancels
      return;
    }
    const { id } = message;
    const abort = new AbortController();
    if (id !== undefined && message.method) this.#open.set(id, abort);
    try {
      const isAnswered = await this.#exchange(message, abort.signal);
      if (!isAnswered && id !== undefined && message.method) this.#fail(id, "The stream ended without an answer");
    } catch (error) {
      if (id !== undefined && message.method && !abort.signal.aborted) this.#fail(id, reasonOf(error));
    } finally {
      if (id !== undefined) this.#open.delete(id);
    }
  }

  /** Ends the MCP session, and with it the workspace that is bound to it. */
  async close(): Promise<void> {
    if (!this.#mcpSession) return;
    await fetch(this.url, { method: "DELETE", headers: this.#headers() }).catch(() => {}); // it expires by itself then
  }

  #fail(id: string | number, message: string): void {
    this.onMessage({ jsonrpc: "2.0", id, error: { code: FAILED, message } });
  }

  async #exchange(message: RpcMessage, signal: AbortSignal): Promise<boolean> {
    const response = await this.#post(message, signal);
    this.#mcpSession = response.headers.get("mcp-session-id") ?? this.#mcpSession;
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/event-stream")) return await this.#stream(message, response, signal);
    const text = await response.text();
    if (response.status === 202 || text === "") return message.id === undefined || response.status === 202;
    const answer = parse(text);
    if (!answer) throw new Error(`${this.url} answered HTTP ${response.status} and no JSON`);
    return this.#pass({ ...answer, ...(message.id === undefined ? {} : { id: message.id }) }, message);
  }

  async #stream(message: RpcMessage, response: Response, signal: AbortSignal): Promise<boolean> {
    let lastEventId: string | undefined;
    let retryMs = RETRY_MS;
    let stream: Response | undefined = response;
    for (let resumes = 0; ; resumes++) {
      try {
        for await (const event of stream?.body ? sseEvents(stream.body) : []) {
          lastEventId = event.id ?? lastEventId;
          retryMs = event.retryMs ?? retryMs;
          const answer = event.data ? parse(event.data) : undefined;
          if (answer && this.#pass(answer, message)) return true;
        }
      } catch (error) {
        if (signal.aborted || lastEventId === undefined) throw error;
      }
      if (lastEventId === undefined || resumes === MAX_RESUMES) return false;
      await sleep(retryMs);
      const headers = { ...this.#headers(), accept: "text/event-stream", "last-event-id": lastEventId };
      stream = await fetch(this.url, { headers, signal }).catch(() => undefined); // it may be there the next time
      if (stream && !stream.ok) return false;
    }
  }

  /** @returns whether it answers the request */
  #pass(message: RpcMessage, request: RpcMessage): boolean {
    if (request.method === "initialize" && typeof message.result?.protocolVersion === "string") {
      this.#protocol = message.result.protocolVersion;
    }
    this.onMessage(message);
    return message.id !== undefined && message.id === request.id && message.method === undefined;
  }

  async #post(message: RpcMessage, signal: AbortSignal): Promise<Response> {
    const options = { method: "POST", headers: this.#headers(message), body: JSON.stringify(message), signal };
    const until = performance.now() + CONNECT_MS;
    for (;;) {
      try {
        return await fetch(this.url, options);
      } catch (error) {
        const isAbsent = (error as { cause?: { code?: string } }).cause?.code === "ECONNREFUSED"; // nothing was sent
        if (!isAbsent || performance.now() > until) throw error;
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
  }

  #headers(message?: RpcMessage): Record<string, string> {
    const modern = message?.params?._meta?.[PROTOCOL_META_KEY];
    const protocol = typeof modern === "string" ? modern : this.#protocol;
    const name = message?.params?.name ?? message?.params?.uri;
    return {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(protocol ? { "mcp-protocol-version": protocol } : {}),
      ...(this.#mcpSession && !modern ? { "mcp-session-id": this.#mcpSession } : {}),
      ...(modern && message?.method ? { "mcp-method": message.method } : {}),
      ...(modern && name ? { "mcp-name": headerValue(name) } : {}),
      ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
    };
  }
}

/** Names beyond printable ASCII travel as base64. */
const headerValue = (text: string): string =>
  /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) ? text : `=?base64?${Buffer.from(text).toString("base64")}?=`;

const parse = (text: string): RpcMessage | undefined => {
  try {
    return JSON.parse(text) as RpcMessage;
  } catch {
    return undefined;
  }
};

const reasonOf = (error: unknown): string => {
  const { message, cause } = error as { message: string; cause?: { message?: string; code?: string } };
  return cause ? `${message}: ${cause.message || cause.code}` : message;
};
