import type { IncomingMessage, ServerResponse } from "node:http";
import { finished, pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import { receiveFile, sendFile, type Tool, WAIT_MS } from "../../shared/catalog/index.ts";
import { type FailureCode, type FailureRecord, ToolFailure, toFailure } from "../../shared/failure.ts";
import type { Caller } from "../calls/caller.ts";
import type { LaneCalls } from "../calls/lane-calls.ts";
import type { RecordTools } from "../tools/record-tools.ts";
import type { ArtifactLinks, Grant } from "./artifact-links.ts";
import { artifactId } from "./artifact-links.ts";
import type { Transfers } from "./transfers.ts";

/** A file's call waits so long for its bytes to move before it leaves the lane to others. */
const LANE_MS = 10_000;

/** A client whose upload was refused may go on sending for so long. */
const LINGER_MS = 10_000;

const STATUS: Partial<Record<FailureCode, number>> = {
  PERMISSION_DENIED: 403,
  PATH_OUTSIDE_WORKSPACE: 403,
  SESSION_NOT_FOUND: 404,
  NOT_FOUND: 404,
  NOT_A_FILE: 409,
  NOT_A_DIRECTORY: 409,
  STALE_FILE: 409,
  FILE_TOO_LARGE: 413,
  QUEUE_FULL: 429,
  QUOTA_EXCEEDED: 429,
  DISK_FULL: 507,
  NO_CAPACITY: 503,
  SANDBOX_UNAVAILABLE: 503,
  STORE_UNAVAILABLE: 503,
  SESSION_RESET: 503,
};

/** Names of a download's headers in the worker's request. */
const PASSED = ["content-type", "content-range", "etag"] as const;

/** Serves signed URLs: GET and HEAD with one range, PUT. Bytes pass through in small pieces, both ways with backpressure. */
export class ArtifactRoutes {
  constructor(
    private readonly deps: {
      links: ArtifactLinks;
      transfers: Transfers;
      lane: LaneCalls;
      records: RecordTools;
      internalUrl: () => string;
      log: Logger;
    },
    private readonly maxBytes: number,
  ) {}

  /** Never rejects. */
  async serve(token: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method === "GET" || request.method === "HEAD") await this.#download(token, request, response);
      else if (request.method === "PUT") await this.#upload(token, request, response);
      else response.writeHead(405, { allow: "GET, HEAD, PUT" }).end();
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === "INTERNAL") this.deps.log.error({ err: error }, "a transfer failed inside");
      if (response.headersSent) response.destroy();
      else {
        letFinish(request);
        say(response, STATUS[failure.code] ?? 500, failure.toRecord());
      }
    }
  }

  async #download(token: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { links, transfers, internalUrl } = this.deps;
    const grant = await links.verify(token, "GET");
    let sent = Promise.resolve();
    const transfer = transfers.open(async (bytes, acknowledge) => {
      response.writeHead(Number(bytes.headers["x-status"]), headersOf(bytes));
      sent = request.method === "HEAD" ? ended(response) : pipeline(bytes, response);
      await sent;
      acknowledge.writeHead(204).end();
    });
    const { range } = request.headers;
    const args = { path: grant.path, to: `${internalUrl()}${transfer.path}`, facts_only: request.method === "HEAD" };
    try {
      await this.#run(sendFile, grant, { ...args, ...(range ? { range } : {}) }, response);
      await sent;
    } finally {
      transfer.close();
    }
  }

  async #upload(token: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { links, transfers, internalUrl } = this.deps;
    const grant = await links.verify(token, "PUT");
    const tooLarge = new ToolFailure("FILE_TOO_LARGE", `One upload takes ${this.maxBytes} bytes at most`);
    if (Number(request.headers["content-length"] ?? 0) > this.maxBytes) throw tooLarge;
    const transfer = transfers.open(async (_, body) => {
      body.writeHead(200, { "content-type": "application/octet-stream" });
      // Not by pipeline(): that ends the client's request when the worker wants no more, and the client never sees why.
      request.once("close", () => request.complete || body.destroy());
      await finished(request.pipe(body));
    });
    const args = { path: grant.path, from: `${internalUrl()}${transfer.path}`, max_bytes: this.maxBytes };
    try {
      const { path, size_bytes, sha256, created } = await this.#run(receiveFile, grant, args, response);
      const artifact = { artifact_id: artifactId(grant.sessionId, grant.path), path, size_bytes, sha256 };
      say(response, created ? 201 : 200, artifact);
    } finally {
      transfer.close();
    }
  }

  /** The call's result, however long its bytes take. A client that goes away cancels it. */
  async #run(
    tool: Tool,
    { sessionId, principal }: Grant,
    args: Record<string, unknown>,
    response: ServerResponse,
  ): Promise<Record<string, unknown>> {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) gone.abort();
    });
    const caller = (): Caller => ({
      principal,
      receivedAt: performance.now(),
      signal: gone.signal,
      progress: undefined,
      mcpSession: undefined,
    });
    const addressed = { ...args, session_id: sessionId, wait_ms: LANE_MS };
    const answer = await this.deps.lane.run(tool, addressed, caller());
    const { call_id } = answer;
    if (call_id === undefined) return answer;
    while (!gone.signal.aborted) {
      const asked = { call_id: String(call_id), wait_ms: WAIT_MS.max };
      const { result, failure } = await this.deps.records.getCall(asked, caller());
      if (failure) throw ToolFailure.of(failure as FailureRecord);
      if (result) return result as Record<string, unknown>;
    }
    throw new ToolFailure("CANCELLED", "The client went away");
  }
}

const headersOf = ({ headers }: IncomingMessage): Record<string, string> => ({
  ...Object.fromEntries(PASSED.flatMap((name) => (headers[name] ? [[name, headers[name]]] : []))),
  "content-length": String(headers["x-length"]),
  "accept-ranges": "bytes",
  "content-disposition": "attachment", // what a session made must not run as a page of ours
  "x-content-type-options": "nosniff",
});

/** A client that is cut off while it sends never sees why: the rest is read and dropped, for a while. */
const letFinish = (request: IncomingMessage): void => {
  if (request.complete) return;
  request.unpipe();
  request.resume();
  const timer = setTimeout(() => request.destroy(), LINGER_MS);
  request.once("close", () => clearTimeout(timer));
};

const ended = async (response: ServerResponse): Promise<void> => {
  await new Promise<void>((resolve) => response.end(resolve));
};

const say = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};
