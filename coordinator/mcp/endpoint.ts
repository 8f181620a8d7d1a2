import type { ServerResponse } from "node:http";
import { getRequestListener, RequestError } from "@hono/node-server";
import {
  createMcpHandler,
  isJsonContentType,
  isLegacyRequest,
  type McpHttpHandler,
  PROTOCOL_VERSION_META_KEY,
} from "@modelcontextprotocol/server";
import type { Logger } from "pino";
import { TOOLSETS } from "../../shared/catalog/index.ts";
import { answerTooLarge } from "./answer-early.ts";
import { KEEP_ALIVE_MS } from "./event-stream.ts";
import { type LegacyLeg, rpcError } from "./legacy-leg.ts";
import { NOTHING, type Offers } from "./offers.ts";
import { readBody } from "./read-body.ts";
import type { RedisEventBus } from "./redis-event-bus.ts";
import type { McpRequest } from "./request.ts";
import type { ServerFactory } from "./server-factory.ts";
import type { SseLeg } from "./sse/sse-leg.ts";

const NO_TOOLSET = `Unknown toolset; there are ${TOOLSETS.join(", ")}`;

type ReadRequest = McpRequest & { bodyText: string };

/** The one URL for both protocol eras: reads and parses a body once, and hands it to the leg that serves its era. */
export class McpEndpoint {
  readonly #modern: McpHttpHandler;
  /**
   * With requests and responses that are made when they are needed: web streams and signals, which hardly a call uses,
   * cost the coordinator a seventh of its cpu.
   */
  readonly #listener;

  constructor(
    private readonly deps: {
      createServer: ServerFactory;
      legacy: LegacyLeg;
      sse: SseLeg;
      offers: Offers;
      bus: RedisEventBus;
      /** False while Redis is away. */
      isStoreThere: () => boolean;
      log: Logger;
    },
    private readonly maxBodyBytes: number,
  ) {
    const onerror = (err: Error): void => deps.log.debug({ err }, "MCP request error");
    this.#modern = createMcpHandler(
      ({ authInfo, requestInfo }) =>
        deps.createServer({
          era: "modern",
          offer: deps.offers.of(requestInfo?.url ?? "") ?? NOTHING,
          principal: authInfo?.clientId ?? "",
          receivedAt: performance.now(),
          mcpSession: undefined,
        }),
      { legacy: "reject", bus: deps.bus, responseMode: "auto", keepAliveMs: KEEP_ALIVE_MS, onerror },
    );
    this.#listener = getRequestListener(
      async (request, { incoming }) => await this.#fetch(request, incoming as ReadRequest),
      {
        autoCleanupIncoming: false,
        errorHandler: (err) => {
          if (err instanceof RequestError) return rpcError(400, -32_600, `Bad Request: ${err.message}`);
          deps.log.error({ err }, "a request failed inside");
          return rpcError(500, -32_603, "Internal server error");
        },
      },
    );
  }

  async handle(request: McpRequest, response: ServerResponse): Promise<void> {
    const path = request.url.replace(/\?.*/, "").toLowerCase();
    if (path === "/mcp/sse" || path === "/mcp/message") return await this.#handleSse(path, request, response);
    const bodyText = await readBody(request, this.maxBodyBytes).catch(() => undefined);
    if (request.destroyed && !request.complete) return; // the client left in the middle of it
    if (bodyText !== undefined) return await this.#listener(Object.assign(request, { bodyText }), response);
    await answerTooLarge(request, response, this.maxBodyBytes);
  }

  async #handleSse(path: string, request: McpRequest, response: ServerResponse): Promise<void> {
    const { sse, offers, log } = this.deps;
    const offer = offers.of(request.url);
    try {
      if (!offer) response.writeHead(400, { "content-type": "text/plain" }).end(NO_TOOLSET);
      else if (path === "/mcp/sse") await sse.open(request, response, offer);
      else await sse.receive(request, response);
    } catch (err) {
      log.debug({ err }, "an HTTP+SSE request failed");
      if (response.headersSent) response.destroy();
      else response.writeHead(this.deps.isStoreThere() ? 500 : 503).end("Try again in a moment");
    }
  }

  /** From now on streams without a request under way end. */
  drain(): void {
    this.deps.sse.drain();
  }

  /** Ends open streams. None of their calls is cancelled. */
  async close(): Promise<void> {
    this.deps.sse.close();
    await this.#modern.close();
  }

  async #fetch(request: Request, { bodyText, auth: authInfo }: ReadRequest): Promise<Response> {
    const receivedAt = performance.now();
    const offer = this.deps.offers.of(request.url);
    if (!offer) return rpcError(400, -32_602, NO_TOOLSET);
    let body: unknown;
    if (request.method === "POST") {
      if (!isJsonContentType(request.headers.get("content-type") ?? "")) {
        return rpcError(415, -32_000, "Unsupported Media Type: Content-Type must be application/json");
      }
      try {
        body = JSON.parse(bodyText);
      } catch {
        return rpcError(400, -32_700, "Parse error: the body is not JSON");
      }
    }
    try {
      return !isModernCall(body) && (await isLegacyRequest(request, body))
        ? await this.deps.legacy.fetch(request, body, { principal: authInfo.clientId, receivedAt, offer })
        : await this.#modern.fetch(request, { authInfo, parsedBody: body });
    } catch (err) {
      if (!this.deps.isStoreThere())
        return rpcError(503, -32_603, "The server cannot reach its records now; try again in a moment");
      this.deps.log.error({ err }, "a request failed inside");
      return rpcError(500, -32_603, "The request failed inside codegen-mcp; the server's log has the details");
    }
  }
}

/** What nearly every request is. It claims the modern protocol, which the SDK's own question would find out at length. */
const isModernCall = (body: unknown): boolean => {
  const { method, params } = (body ?? {}) as { method?: unknown; params?: { _meta?: unknown } };
  const meta = params?._meta;
  return method === "tools/call" && typeof meta === "object" && meta !== null && PROTOCOL_VERSION_META_KEY in meta;
};
