import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { type ToolAnswer, toAnswer } from "../support/tool-client.ts";

/** The revision that a client speaks: 2026-07-28, or the newest of 2025 by the v1 SDK. */
export type Era = "2026" | "2025";

/** The answer did not come: the connection broke, or nothing came in time. Whether the call ran is unknown here. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

const INFO = { name: "codegen-mcp-chaos", version: "1" };
/** The SDKs' own, which tell the server that the call is not wanted: ours comes first and tells nothing. */
const SDK_TIMEOUT_MS = 300_000;

interface Wire {
  call(name: string, args: Record<string, unknown>): Promise<ToolAnswer>;
  toolSchemas(): Promise<{ name: string; inputSchema: { properties?: Record<string, unknown> | undefined } }[]>;
  close(): Promise<void>;
  /** What the next connection goes on with: a 2025-era client keeps its `Mcp-Session-Id`. */
  resume: { sessionId: string; protocolVersion: string } | undefined;
}

type Receives = { onmessage?: ((message: never, extra?: never) => void) | undefined };

/**
 * One MCP client's way to the server, made anew after it broke. Neither SDK gives up a request whose stream of events
 * breaks in the middle, so this watches the bytes.
 */
export class AgentConnection {
  #wire: Promise<Wire> | undefined;
  #resume: Wire["resume"];
  #onBroken: ((error: Error) => void) | undefined;
  /** Answers that came for a request which had its answer already. */
  repeatedAnswers = 0;

  constructor(
    private readonly url: string,
    private readonly era: Era,
  ) {}

  async schemaOf(tool: string): Promise<Record<string, unknown>> {
    const tools = await (await this.#connected()).toolSchemas();
    return tools.find(({ name }) => name === tool)?.inputSchema.properties ?? {};
  }

  /** @throws {NoAnswer} after which the connection is another one */
  async call(name: string, args: Record<string, unknown>, timeoutMs: number): Promise<ToolAnswer> {
    let timer: NodeJS.Timeout | undefined;
    const broken = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      this.#onBroken = reject;
    });
    const answered = this.#connected().then((wire) => wire.call(name, args));
    answered.catch(() => {}); // whoever lost the race is not heard
    try {
      return await Promise.race([answered, broken]);
    } catch (error) {
      this.close();
      throw new NoAnswer((error as Error).message, { cause: error });
    } finally {
      clearTimeout(timer);
      this.#onBroken = undefined;
    }
  }

  close(): void {
    const wire = this.#wire;
    this.#wire = undefined;
    wire?.then((old) => old.close()).catch(() => {}); // it is gone already
  }

  async #connected(): Promise<Wire> {
    this.#wire ??= this.era === "2026" ? this.#connectModern() : this.#connectLegacy();
    const wire = await this.#wire;
    this.#resume = wire.resume;
    return wire;
  }

  async #connectModern(): Promise<Wire> {
    const client = new Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    const transport = new StreamableHTTPClientTransport(new URL(this.url), { fetch: this.#fetch });
    await client.connect(transport);
    this.#countAnswers(transport as Receives);
    return {
      resume: undefined,
      call: async (name, args) =>
        toAnswer(await client.callTool({ name, arguments: args }, { timeout: SDK_TIMEOUT_MS })),
      toolSchemas: async () => (await client.listTools()).tools,
      close: () => client.close(),
    };
  }

  async #connectLegacy(): Promise<Wire> {
    const resume = this.#resume;
    const client = new V1Client(INFO);
    const sessionId = resume ? { sessionId: resume.sessionId } : {};
    const transport = new V1Transport(new URL(this.url), { fetch: this.#fetch, ...sessionId });
    if (resume) transport.setProtocolVersion(resume.protocolVersion);
    await client.connect(transport as Parameters<V1Client["connect"]>[0]);
    this.#countAnswers(transport as Receives);
    const options = { timeout: SDK_TIMEOUT_MS, onprogress: () => {} }; // a progress token makes the answer a stream
    const { sessionId: id = "", protocolVersion = "" } = transport;
    return {
      resume: { sessionId: id, protocolVersion },
      call: async (name, args) =>
        toAnswer((await client.callTool({ name, arguments: args }, undefined, options)) as Record<string, unknown>),
      toolSchemas: async () => (await client.listTools()).tools,
      close: () => client.close(),
    };
  }

  #countAnswers(transport: Receives): void {
    const seen = new Set<unknown>();
    const deliver = transport.onmessage;
    transport.onmessage = (message: never, extra?: never) => {
      const { id, method } = message as { id?: unknown; method?: unknown };
      if (id !== undefined && method === undefined) {
        if (seen.has(id)) this.repeatedAnswers++;
        seen.add(id);
      }
      deliver?.(message, extra);
    };
  }

  readonly #fetch = async (input: string | URL, init?: RequestInit): Promise<Response> => {
    const onBroken = this.#onBroken; // of the call that this request is for, not of a later one
    const response = await fetch(input, init);
    if (!response.body || init?.method !== "POST") return response;
    const reader = response.body.getReader();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          onBroken?.(error as Error);
          controller.error(error);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
    const { status, statusText, headers } = response;
    return new Response(body, { status, statusText, headers });
  };
}
