import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { HttpPeer, type RpcMessage } from "./http-peer.ts";

/** Longer than any tool call waits for its answer. */
const LINGER_MS = 60_000;

/**
 * Serves a client that can only start a command: each line of input is a JSON-RPC message for the server at `url`, each
 * line of output one of its. Resolves at the end of the input, once what is under way was answered.
 */
export const bridgeStdio = async (
  url: string,
  token: string,
  { input, output }: { input: Readable; output: Writable },
): Promise<void> => {
  const peer = new HttpPeer(url, (message) => output.write(`${JSON.stringify(message)}\n`), token);
  const open = new Set<Promise<void>>();
  let initialized = Promise.resolve();
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const message = parse(line);
    if (!message) {
      if (line.trim()) output.write('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}\n');
      continue;
    }
    const sent = initialized.then(() => peer.send(message)); // what follows needs the session that initialize makes
    if (message.method === "initialize") initialized = sent;
    if (message.method === "subscriptions/listen") continue; // it ends with its client
    open.add(sent);
    void sent.then(() => open.delete(sent));
  }
  const over = new Promise((resolve) => setTimeout(resolve, LINGER_MS).unref());
  await Promise.race([Promise.all(open), over]);
  await peer.close();
};

const parse = (line: string): RpcMessage | undefined => {
  try {
    const message: unknown = JSON.parse(line);
    return message !== null && typeof message === "object" ? (message as RpcMessage) : undefined;
  } catch {
    return undefined;
  }
};
