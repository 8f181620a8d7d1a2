import { VERSION } from "../../shared/version.ts";
import { HttpPeer, PROTOCOL_META_KEY, type RpcMessage } from "./http-peer.ts";

interface Content {
  type: string;
  text?: string;
  mimeType?: string;
}
interface Result {
  content?: Content[];
  structuredContent?: unknown;
  isError?: boolean;
  tools?: { name: string; inputSchema: { properties?: Record<string, { type?: string }> } }[];
}

const META = {
  [PROTOCOL_META_KEY]: "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "codegen-mcp", version: VERSION },
  "io.modelcontextprotocol/clientCapabilities": {},
  progressToken: 1,
};

/** Told to whoever typed the command. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Calls one tool, in the caller's default session unless the arguments name one.
 * @param pairs `key=value`, each value in the type that the tool's schema says
 * @throws {UsageError} for a tool or an argument that there is none of
 */
export const callTool = async (
  url: string,
  token: string,
  { tool, pairs, onText }: { tool: string; pairs: string[]; onText: (text: string) => void },
): Promise<{ isError: boolean; text: string; structured: unknown }> => {
  const { tools = [] } = await ask(url, token, "tools/list", {}, () => {});
  const found = tools.find(({ name }) => name === tool);
  if (!found) throw new UsageError(`There is no tool "${tool}"; there are ${tools.map(({ name }) => name).join(", ")}`);
  const args = Object.fromEntries(pairs.map((pair) => argument(pair, tool, found.inputSchema.properties ?? {})));
  const result = await ask(url, token, "tools/call", { name: tool, arguments: args }, onText);
  const text = (result.content ?? [])
    .map((block) => block.text ?? `[${block.type} ${block.mimeType ?? ""}]`)
    .join("\n");
  return { isError: result.isError === true, text, structured: result.structuredContent };
};

const argument = (pair: string, tool: string, known: Record<string, { type?: string }>): [string, unknown] => {
  const at = pair.indexOf("=");
  const name = pair.slice(0, Math.max(0, at));
  const type = known[name]?.type;
  if (at < 1 || !known[name]) {
    throw new UsageError(`"${pair}" is no argument of ${tool}; it takes ${Object.keys(known).join(", ")}`);
  }
  const value = pair.slice(at + 1);
  if (type === "string") return [name, value];
  try {
    return [name, JSON.parse(value)];
  } catch {
    throw new UsageError(`${name} must be ${type ?? "JSON"}: ${value}`);
  }
};

const ask = async (
  url: string,
  token: string,
  method: string,
  params: Record<string, unknown>,
  onText: (text: string) => void,
): Promise<Result> => {
  let answer: RpcMessage | undefined;
  const peer = new HttpPeer(
    url,
    (message) => {
      const { message: text } = (message.params ?? {}) as { message?: string };
      if (message.method === "notifications/progress" && text) onText(text);
      if (message.id !== undefined) answer = message;
    },
    token,
  );
  await peer.send({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: META } });
  if (answer?.result) return answer.result as Result;
  throw new UsageError(answer?.error?.message ?? `${url} gave no answer`);
};
