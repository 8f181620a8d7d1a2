import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { hostHeaderValidation, originValidation } from "@modelcontextprotocol/node";
import { localhostAllowedHostnames } from "@modelcontextprotocol/server";
import express from "express";
import type { Redis } from "ioredis";
import { VERSION } from "../shared/version.ts";
import type { ArtifactRoutes } from "./artifacts/artifact-routes.ts";
import type { Transfers } from "./artifacts/transfers.ts";
import type { McpEndpoint } from "./mcp/endpoint.ts";
import type { McpRequest } from "./mcp/request.ts";

/** Tells who sends a request, or undefined for nobody we know. */
export type Authenticate = (request: IncomingMessage) => string | undefined;

/** Everyone is the same principal: for a server that only its own machine reaches. */
export const anonymous: Authenticate = () => "anonymous";

const hostOf = (bind: string): string[] =>
  bind === "0.0.0.0" || bind === "::" ? [] : [bind.includes(":") ? `[${bind}]` : bind];

const MCP_URL = /^\/mcp(\/|\/sse|\/message)?(\?|$)/i;

/** The HTTP surface. Host and Origin are checked on every bind: a page in a browser must not reach a server by a name of its own. */
export const createApp = (deps: {
  mcp: McpEndpoint;
  artifacts: ArtifactRoutes;
  transfers: Transfers;
  redis: Redis;
  authenticate: Authenticate;
  countWorkers: () => Promise<number>;
  /** Whether Redis would evict records. */
  evicts: () => boolean;
  host: string;
  allowedHosts: string[];
}): RequestListener => {
  const { mcp, artifacts, transfers, redis, authenticate, countWorkers, evicts, host, allowedHosts } = deps;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");

  app.get("/healthz", (_, response) => {
    response.json({ status: "ok", version: VERSION });
  });
  app.get("/readyz", async (_, response) => {
    const isReady =
      redis.status === "ready" &&
      (await redis.ping().then(
        () => true,
        () => false,
      ));
    const workers = isReady ? await countWorkers().catch(() => 0) : 0;
    const state = !isReady ? "unreachable" : evicts() ? "evicts" : "ok";
    response.status(state === "ok" ? 200 : 503).json({ redis: state, workers });
  });

  const names = [...localhostAllowedHostnames(), ...hostOf(host), ...allowedHosts];
  const isHostAllowed = hostHeaderValidation(names);
  const isOriginAllowed = originValidation(names);
  app.all("/artifacts/:token", async (request, response) => {
    if (isHostAllowed(request, response) && isOriginAllowed(request, response))
      await artifacts.serve(request.params.token, request, response);
  });
  // For workers, which know this replica by whatever name; the id is the right to ask.
  app.all("/transfers/:id", async (request, response) => {
    await transfers.serve(request.params.id, request, response).catch(() => response.destroy()); // the other side went away
  });
  const serveMcp = (request: IncomingMessage, response: ServerResponse): void => {
    if (!isHostAllowed(request, response) || !isOriginAllowed(request, response)) return;
    const principal = authenticate(request);
    if (principal === undefined) {
      const body = { jsonrpc: "2.0", error: { code: -32_000, message: "Unauthorized" }, id: null };
      response.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify(body));
      return;
    }
    const auth = { token: "", clientId: principal, scopes: [] };
    mcp.handle(Object.assign(request, { auth }) as McpRequest, response).catch(() => response.destroy()); // the client went away, or Redis did
  };
  // Express gives every request and response another prototype. V8 keeps such objects, with all that hangs on them, past
  // its small collections: 40 KB a call until a full one, and 10 ms pauses. So calls do not pass through it.
  return (request, response) => (MCP_URL.test(request.url ?? "") ? serveMcp : app)(request, response);
};
