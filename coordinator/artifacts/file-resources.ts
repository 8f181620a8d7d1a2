import { ProtocolError, ProtocolErrorCode, type Resource } from "@modelcontextprotocol/server";
import { listArtifacts, readFile } from "../../shared/catalog/index.ts";
import { isSessionId, type SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { Caller } from "../calls/caller.ts";
import type { SessionResolver } from "../calls/session-resolver.ts";
import type { ToolService } from "../tool-service.ts";

const SCHEME = "codegen://";
const LIST_LIMIT = 200;

interface Contents {
  [key: string]: unknown;
  uri: string;
  mimeType: string;
}

/** The session's files as MCP resources, `codegen://<session>/<path>`: what `list_artifacts` and `read_file` give. */
export class FileResources {
  constructor(private readonly deps: { tools: ToolService; resolver: SessionResolver; records: Records }) {}

  /** Of the caller's own session. Clients ask this as soon as they connect: no session is made for it. */
  async list(caller: Caller): Promise<Resource[]> {
    const { tools, resolver, records } = this.deps;
    const sid = await resolver.bound(caller);
    const session = sid ? await records.session(sid) : undefined;
    if (session?.state !== "ready" || session.principal !== caller.principal) return [];
    const { structuredContent } = await tools.call(listArtifacts, { session_id: sid, limit: LIST_LIMIT }, caller);
    const files = (structuredContent.artifacts ?? []) as { path: string; size_bytes: number }[];
    return files.map(({ path, size_bytes: size }) => ({ uri: uriOf(session.id, path), name: path, size }));
  }

  /** @throws {ProtocolError} with the failure's code and message */
  async read(uri: string, caller: Caller): Promise<(Contents & ({ text: string } | { blob: string }))[]> {
    const { session_id, path } = parse(uri);
    const { isError, structuredContent } = await this.deps.tools.call(
      readFile,
      { session_id, path, encoding: "base64" },
      caller,
    );
    const { code, message, mime, content } = structuredContent as Record<string, string>;
    if (isError) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `${code}: ${message}`, { uri });
    if (content === undefined)
      throw new ProtocolError(ProtocolErrorCode.InternalError, "The file was not read in time; ask again", { uri });
    const mimeType = mime ?? "application/octet-stream";
    const body = mimeType.startsWith("text/") ? { text: Buffer.from(content, "base64").toString() } : { blob: content };
    return [{ uri, mimeType, ...body }];
  }
}

const uriOf = (sid: SessionId, path: string): string =>
  `${SCHEME}${sid}/${path.split("/").map(encodeURIComponent).join("/")}`;

const parse = (uri: string): { session_id: string; path: string } => {
  const [, sid = "", path = ""] = /^codegen:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  try {
    if (isSessionId(sid)) return { session_id: sid, path: decodeURIComponent(path) };
  } catch {
    // not encoded as ours are
  }
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, "NOT_FOUND: There is no such resource", { uri });
};
