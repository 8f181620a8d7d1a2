import type { IncomingMessage } from "node:http";
import { type CallOptions, type ToolAnswer, type ToolClient, toAnswer } from "./tool-client.ts";
import { messagesOf, open, type RpcMessage, send, type WireAnswer } from "./wire.ts";

const PROTOCOL = "2025-06-18";

/**
 * PromptKit's habits on the wire, replayed without any SDK: one TCP connection a request, the protocol header on every
 * request (`initialize` included), no `notifications/initialized`, the session id taken from whichever answer has one,
 * answers read as JSON or as events until the one with the request's id.
 */
export class PromptKitClient implements ToolClient {
  readonly protocol = PROTOCOL;
  /** Its signal breaks the connection, which cancels nothing in this era. */
  readonly cancelsByAbort = false;
  #sessionId: string | undefined;
  #lastId = 0;

  private constructor(
    private readonly url: string,
    private readonly headers: Record<string, string>,
  ) {}

  /** @param headers sent with every request besides its own */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<PromptKitClient> {
    const client = new PromptKitClient(url, headers);
    await client.#request("initialize", {
      protocolVersion: PROTOCOL,
      capabilities: {},
      clientInfo: { name: "promptkit", version: "1" },
    });
    return client;
  }

  get sessionId(): string {
    return this.#sessionId ?? "";
  }

  async toolNames(): Promise<string[]> {
    const { tools } = (await this.#request("tools/list", {})) as { tools: { name: string }[] };
    return tools.map(({ name }) => name);
  }

  async call(name: string, args: Record<string, unknown> = {}, options: CallOptions = {}): Promise<ToolAnswer> {
    return toAnswer(
      await this.#request("tools/call", { name, arguments: args, _meta: { progressToken: name } }, options),
    );
  }

  /** The JSON-RPC id of the request sent last: what a cancel names. */
  get lastId(): number {
    return this.#lastId;
  }

  async notify(method: string, params: Record<string, unknown>, url = this.url): Promise<WireAnswer> {
    const body = JSON.stringify({ jsonrpc: "2.0", method, params });
    return await send(url, { headers: this.#headers(), body });
  }

  /** Ends the MCP session. */
  async delete(): Promise<WireAnswer> {
    return await send(this.url, { method: "DELETE", headers: this.#headers() });
  }

  async close(): Promise<void> {
    await this.delete();
  }

  async #request(
    method: string,
    params: Record<string, unknown>,
    options: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const { signal, onText } = options;
    const answer = await open(this.url, { headers: this.#headers(), body, ...(signal ? { signal } : {}) });
    this.#sessionId = (answer.headers["mcp-session-id"] as string | undefined) ?? this.#sessionId;
    const { result, error } = await readAnswer(answer, id, onText);
    if (error) throw new Error(`${method} failed: ${error.code} ${error.message} (HTTP ${answer.statusCode})`);
    return result ?? {};
  }

  #headers(): Record<string, string> {
    return {
      ...this.headers,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": PROTOCOL,
      ...(this.#sessionId ? { "mcp-session-id": this.#sessionId } : {}),
    };
  }
}

const readAnswer = async (
  answer: IncomingMessage,
  id: number,
  onText?: (text: string) => void,
): Promise<RpcMessage> => {
  for await (const message of messagesOf(answer)) {
    if (message.id === id || message.error) return message;
    if (message.method === "notifications/progress" && message.params?.message)
      onText?.(String(message.params.message));
  }
  throw new Error(`The answer ended without a message for request ${id} (HTTP ${answer.statusCode})`);
};
