import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { oneAtATime } from "./one-at-a-time.ts";
import { type CallOptions, type ToolAnswer, type ToolClient, toAnswer } from "./tool-client.ts";
import { open, type RpcMessage, send, type WireAnswer } from "./wire.ts";

/** The v1 SDK's client over HTTP+SSE. */
export const connectSse = async (url: string): Promise<ToolClient> => {
  const client = new Client({ name: "codegen-mcp-tests", version: "1" });
  let protocol = "";
  const transport = new SSEClientTransport(new URL(url.replace(/\/mcp/, "/mcp/sse")));
  const remember = transport.setProtocolVersion.bind(transport);
  transport.setProtocolVersion = (version) => {
    protocol = version;
    remember(version);
  };
  await client.connect(transport);
  oneAtATime(transport);
  return {
    protocol,
    cancelsByAbort: true,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, { signal, onText } = {}) =>
      toAnswer(
        (await client.callTool({ name, arguments: args }, undefined, {
          timeout: 120_000,
          ...(signal ? { signal } : {}),
          onprogress: ({ message }) => message && onText?.(message),
        })) as Parameters<typeof toAnswer>[0],
      ),
    close: () => client.close(),
  };
};

/**
 * The habits of PromptKit's default transport, without any SDK: it adds `/sse` to its URL, insists that the first event
 * is the endpoint, sends every message over a connection of its own and reads answers from the stream only.
 */
export class PromptKitSseClient implements ToolClient {
  readonly protocol = "2025-06-18";
  readonly cancelsByAbort = false;
  readonly #waiting = new Map<number, { resolve: (message: RpcMessage) => void; onText?: (text: string) => void }>();
  readonly #closing = new AbortController();
  #lastId = 0;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<unknown>;

  private constructor(
    stream: IncomingMessage,
    lines: AsyncIterator<string>,
    /** Where its messages go. */
    readonly messageUrl: string,
    private readonly headers: Record<string, string>,
  ) {
    this.ended = new Promise((resolve) => stream.once("close", resolve));
    void this.#read(lines);
  }

  /** @param messagesTo the origin that takes its messages, instead of the one that holds the stream */
  static async connect(
    url: string,
    messagesTo = url,
    headers: Record<string, string> = {},
  ): Promise<PromptKitSseClient> {
    const closing = new AbortController();
    const [path = "", query] = url.split("?");
    const streamUrl = `${path}/sse${query ? `?${query}` : ""}`;
    const accept = { accept: "text/event-stream", ...headers };
    const stream = await open(streamUrl, { method: "GET", headers: accept, signal: closing.signal });
    stream.on("error", () => {}); // that it is over is what `ended` says
    const lines = createInterface(stream)[Symbol.asyncIterator]();
    const [event, data] = [await lines.next(), await lines.next()].map(({ value }) => String(value));
    if (event !== "event: endpoint")
      throw new Error(`expected the endpoint (HTTP ${stream.statusCode}), got: ${event}`);
    const messageUrl = new URL((data ?? "").slice("data: ".length), messagesTo).href;
    const client = new PromptKitSseClient(stream, lines, messageUrl, headers);
    client.#closing.signal.addEventListener("abort", () => closing.abort());
    await client.request("initialize", {
      protocolVersion: client.protocol,
      capabilities: {},
      clientInfo: { name: "promptkit", version: "1" },
    });
    return client;
  }

  get lastId(): number {
    return this.#lastId;
  }

  async toolNames(): Promise<string[]> {
    const { tools } = (await this.request("tools/list", {})) as { tools: { name: string }[] };
    return tools.map(({ name }) => name);
  }

  async call(name: string, args: Record<string, unknown> = {}, options: CallOptions = {}): Promise<ToolAnswer> {
    return toAnswer(await this.request("tools/call", { name, arguments: args, _meta: { progressToken: 1 } }, options));
  }

  async request(
    method: string,
    params: Record<string, unknown>,
    { onText, signal }: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    const answer = new Promise<RpcMessage>((resolve, reject) => {
      this.#waiting.set(id, { resolve, ...(onText ? { onText } : {}) });
      signal?.addEventListener("abort", () => reject(new Error("given up")));
    });
    answer.catch(() => {}); // who awaits it is told
    const { status, text } = await this.post({ jsonrpc: "2.0", id, method, params });
    if (status !== 202) throw new Error(`${method} was refused with HTTP ${status}: ${text}`);
    const { result, error } = await answer;
    if (error) throw new Error(`${method} failed: ${error.code} ${error.message}`);
    return result ?? {};
  }

  async post(message: unknown, url = this.messageUrl): Promise<WireAnswer> {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    return await send(url, { headers: { ...this.headers, "content-type": "application/json" }, body });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.ended;
  }

  async #read(lines: AsyncIterator<string>): Promise<void> {
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const data = /^data: (.+)/.exec(next.value)?.[1];
      if (!data) continue;
      const message = JSON.parse(data) as RpcMessage;
      if (message.method === "notifications/progress") {
        for (const { onText } of this.#waiting.values())
          if (message.params?.message) onText?.(String(message.params.message));
      }
      this.#waiting.get(Number(message.id))?.resolve(message);
      this.#waiting.delete(Number(message.id));
    }
  }
}
