import { type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { createInterface } from "node:readline";
import { firstCertificate } from "./certificates.ts";

export interface WireAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The body as JSON; undefined when it is none. */
  json: unknown;
}

export interface RpcMessage {
  jsonrpc: "2.0";
  id?: string | number | null;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

export interface WireOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Breaks the connection. */
  signal?: AbortSignal;
}

/** Sends one HTTP request over a connection of its own, as any client may. Resolves with the head of the answer. */
export const open = async (
  url: string,
  { method = "POST", headers = {}, body = "", signal }: WireOptions,
): Promise<IncomingMessage> =>
  await new Promise((resolve, reject) => {
    const options = { method, headers, agent: false, ...(signal ? { signal } : {}) };
    const outgoing = url.startsWith("https:")
      ? tlsRequest(url, { ...options, ca: firstCertificate.cert }, resolve)
      : plainRequest(url, options, resolve);
    outgoing.on("error", reject);
    outgoing.end(body);
  });

/** Sends one HTTP request and reads its answer to the end. */
export const send = async (url: string, options: WireOptions): Promise<WireAnswer> => {
  const answer = await open(url, options);
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // no JSON, which is what an absent `json` says
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, text, json };
};

/** The JSON-RPC messages of an answer as they come, whether it is JSON or a stream of events. */
export async function* messagesOf(answer: IncomingMessage): AsyncGenerator<RpcMessage> {
  if (!String(answer.headers["content-type"]).startsWith("text/event-stream")) {
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    if (chunks.length > 0) yield JSON.parse(Buffer.concat(chunks).toString()) as RpcMessage;
    return;
  }
  for await (const line of createInterface(answer)) {
    const data = /^data: ?(.+)/.exec(line)?.[1];
    if (data) yield JSON.parse(data) as RpcMessage;
  }
}
