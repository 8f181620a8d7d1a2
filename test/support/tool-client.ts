import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

/** A tool's answer, whoever asked for it. */
export interface ToolAnswer {
  isError: boolean;
  structured: Record<string, unknown>;
  text: string;
  /** Its image blocks, in base64. */
  images: { data: string; mimeType: string }[];
}

export interface CallOptions {
  /** Told of every progress message that carries text. */
  onText?: (text: string) => void;
  /** Gives the call up in the client's own way. */
  signal?: AbortSignal;
}

/** An MCP client as far as the tests use one. */
export interface ToolClient {
  readonly protocol: string;
  /** Whether giving a call up cancels it. */
  readonly cancelsByAbort: boolean;
  toolNames(): Promise<string[]>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<ToolAnswer>;
  close(): Promise<void>;
}

interface RawResult {
  content?: unknown;
  structuredContent?: unknown;
  isError?: unknown;
}

export const toAnswer = ({ content, structuredContent, isError }: RawResult): ToolAnswer => {
  const blocks = (content ?? []) as { type: string; text?: string; data?: string; mimeType?: string }[];
  const [first] = blocks;
  return {
    isError: isError === true,
    structured: (structuredContent ?? {}) as Record<string, unknown>,
    text: first?.text ?? "",
    images: blocks.filter(({ type }) => type === "image").map(({ data = "", mimeType = "" }) => ({ data, mimeType })),
  };
};

/** The code of a failed tool; undefined for a result. */
export const failureOf = ({ isError, structured }: ToolAnswer): string | undefined =>
  isError ? String(structured.code) : undefined;

/** Starts a call and resolves at its first output (or its answer), with the answer to come. */
export const begin = async (
  client: ToolClient,
  name: string,
  args: Record<string, unknown>,
  signal?: AbortSignal,
): Promise<{ answer: Promise<ToolAnswer> }> => {
  let onText = (): void => {};
  const first = new Promise<void>((resolve) => {
    onText = resolve;
  });
  const answer = client.call(name, args, { onText, ...(signal ? { signal } : {}) });
  answer.catch(() => {}); // who awaits it is told
  await Promise.race([first, answer]);
  return { answer };
};

const INFO = { name: "codegen-mcp-tests", version: "1" };
/** Longer than any call here may take: the tests' own timeouts are the ones that speak. */
const TIMEOUT_MS = 120_000;

const requestOptions = ({ onText, signal }: CallOptions) => ({
  timeout: TIMEOUT_MS,
  ...(signal ? { signal } : {}),
  onprogress: ({ message }: { message?: string | undefined }) => {
    if (message) onText?.(message);
  },
});

/** Sent with every request besides the client's own, such as a token. */
type Headers = Record<string, string>;

const connectV2 = async (url: string, mode: "auto" | { pin: string }, headers: Headers = {}): Promise<ToolClient> => {
  const client = new Client(INFO, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return {
    protocol: client.getNegotiatedProtocolVersion() ?? "",
    cancelsByAbort: true,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, options = {}) =>
      toAnswer(await client.callTool({ name, arguments: args }, requestOptions(options))),
    close: () => client.close(),
  };
};

/** The 2026-07-28 revision and no other. */
export const connectModern = (url: string, headers?: Headers): Promise<ToolClient> =>
  connectV2(url, { pin: "2026-07-28" }, headers);
/** The newest revision that the server offers. */
export const connectAuto = (url: string): Promise<ToolClient> => connectV2(url, "auto");

/** The client of the v1 SDK, which speaks the 2025 revisions. */
export const connectV1 = async (url: string, headers: Headers = {}): Promise<ToolClient> => {
  const client = new V1Client(INFO);
  const transport = new V1Transport(new URL(url), { requestInit: { headers } });
  await client.connect(transport as Parameters<V1Client["connect"]>[0]);
  return {
    protocol: transport.protocolVersion ?? "",
    cancelsByAbort: true,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}, options = {}) =>
      toAnswer((await client.callTool({ name, arguments: args }, undefined, requestOptions(options))) as RawResult),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
};
