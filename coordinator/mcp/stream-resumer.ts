import { setTimeout as sleep } from "node:timers/promises";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { findTool } from "../../shared/catalog/index.ts";
import { type CallId, sessionOf } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { OutputPosition } from "../calls/output-follower.ts";
import type { ToolService } from "../tool-service.ts";
import { callEventId, endEventId, parseEventId, type Seen } from "./event-ids.ts";
import { EventStream } from "./event-stream.ts";
import type { McpSession, McpSessions, NotedRequest } from "./mcp-sessions.ts";
import { ProgressNotifier, type Told } from "./progress-notifier.ts";

/** A request whose stream broke at once may be on its way to becoming a call. */
const SUBMITTED_MS = 5_000;
const POLL_MS = 100;
/** More chunks than a character can be spread over by anybody but on purpose. */
const TAIL_CHUNKS = 16;
const TAIL_BYTES = 3;
/** Progress messages a second, at most: what a number must have grown by, whoever counted before. */
const MESSAGES_PER_SECOND = 10;

interface Place {
  callId: CallId;
  cursor: string;
}

/** Goes on with a 2025-era request's stream after what its client has seen, on whichever replica it asks. */
export class StreamResumer {
  constructor(private readonly deps: { sessions: McpSessions; records: Records; tools: ToolService }) {}

  /** @returns undefined when the id names nothing that was this MCP session's */
  async resume(session: McpSession, principal: string, lastEventId: string): Promise<Response | undefined> {
    const seen = parseEventId(lastEventId);
    if (!seen) return undefined;
    const place = seen.kind === "request" ? await this.#submitted(session, seen.requestId) : placeOf(seen);
    if (!place && seen.kind === "request") return nothingBecameOf(seen.requestId);
    const request = place && (await this.deps.sessions.requestOf(session.id, place.callId));
    if (!place || !request) return undefined;
    const stream = new EventStream();
    if (seen.kind === "end") stream.close();
    else this.#goOn(stream, session, principal, request, place).catch(() => stream.close()); // it may come again
    return stream.response;
  }

  async #goOn(
    stream: EventStream,
    session: McpSession,
    principal: string,
    { requestId, progressToken, tool }: NotedRequest,
    { callId, cursor }: Place,
  ): Promise<void> {
    const { position, told } = await this.#told(callId, cursor);
    const send = async (progress: number, message: string, at: string): Promise<void> => {
      const params = { progressToken: progressToken!, progress, message };
      stream.send({ jsonrpc: "2.0", method: "notifications/progress", params }, callEventId(callId, at));
    };
    const progress = progressToken === undefined ? undefined : new ProgressNotifier(send, told);
    const caller = { principal, receivedAt: performance.now(), signal: stream.signal, progress, mcpSession: session };
    const result = await this.deps.tools.resume(findTool(tool)!, callId, caller, position);
    progress?.end();
    stream.send({ jsonrpc: "2.0", id: requestId, result } as JSONRPCMessage, endEventId(callId));
    stream.close();
  }

  async #submitted(session: McpSession, requestId: string | number): Promise<Place | undefined> {
    const until = performance.now() + SUBMITTED_MS;
    for (;;) {
      const callId = await this.deps.sessions.callOf(session.id, requestId);
      if (callId) return { callId, cursor: "0-0" };
      if (performance.now() > until) return undefined;
      await sleep(POLL_MS);
    }
  }

  /** What the client knows, as far as the records still have it. */
  async #told(callId: CallId, cursor: string): Promise<{ position: OutputPosition | undefined; told: Told }> {
    const { records } = this.deps;
    const sid = sessionOf(callId);
    const [entries, call] = await Promise.all([
      cursor === "0-0" ? [] : records.outputUpTo(sid, callId, cursor, TAIL_CHUNKS),
      records.call(sid, callId),
    ]);
    const tails = { out: Buffer.alloc(0), err: Buffer.alloc(0) };
    for (const { isStderr, data } of entries) {
      const name = isStderr ? "err" : "out";
      if (tails[name].length < TAIL_BYTES) tails[name] = Buffer.concat([data.subarray(-TAIL_BYTES), tails[name]]);
    }
    const [last] = entries;
    const offset = last ? last.offset + last.data.length : 0;
    const seconds = (Date.now() - (call?.submittedAt ?? 0)) / 1_000;
    const progress = offset + Math.ceil((seconds + 1) * MESSAGES_PER_SECOND);
    const position = cursor === "0-0" ? undefined : { id: cursor, offset };
    return { position, told: { cursor, progress, tails } };
  }
}

const placeOf = (seen: Exclude<Seen, { kind: "request" }>): Place =>
  seen.kind === "call" ? seen : { callId: seen.callId, cursor: "0-0" };

/** The client waits for this request's answer and for nothing else: without one it would wait in vain. */
const nothingBecameOf = (id: string | number): Response => {
  const stream = new EventStream();
  const message = "The connection broke before the call was taken, or it is no longer known: repeat the request";
  stream.send({ jsonrpc: "2.0", id, error: { code: -32_603, message } });
  stream.close();
  return stream.response;
};
