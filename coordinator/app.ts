import type { RequestListener } from "node:http";
import express from "express";
import type { Redis } from "ioredis";
import { VERSION } from "../shared/version.ts";
import type { ArtifactRoutes } from "./artifacts/artifact-routes.ts";
import type { Transfers } from "./artifacts/transfers.ts";
import type { Gate } from "./auth/gate.ts";
import { ProtectedResource } from "./auth/protected-resource.ts";
import { PrincipalTurns } from "./calls/principal-turns.ts";
import { answerQueueFull } from "./mcp/answer-early.ts";
import type { McpEndpoint } from "./mcp/endpoint.ts";
import type { McpRequest } from "./mcp/request.ts";

const MCP_URL = /^\/mcp(\/|\/sse|\/message)?(\?|$)/i;

/**
 * The HTTP surface. Open by themselves are only probes, what RFC 9728 wants everybody to read, signed URLs, and what a
 * worker was told to ask for; all else passes the gate first.
 */
export const createApp = (deps: {
  gate: Gate;
  resource: ProtectedResource;
  mcp: McpEndpoint;
  artifacts: ArtifactRoutes;
  transfers: Transfers;
  redis: Redis;
  countWorkers: () => Promise<number>;
  /** Whether Redis would evict records. */
  evicts: () => boolean;
  /** Whether this replica was told to stop. */
  isLeaving: () => boolean;
  /** Requests of one principal that may wait to begin. */
  maxWaiting: number;
}): RequestListener => {
  const { gate, resource, mcp, artifacts, transfers, redis, countWorkers, evicts, isLeaving } = deps;
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");

  app.get("/healthz", (_, response) => {
    response.json({ status: isLeaving() ? "leaving" : "ok", version: VERSION });
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
    const isLeavingNow = isLeaving();
    const status = state === "ok" && !isLeavingNow ? 200 : 503;
    response.status(status).json({ redis: state, workers, ...(isLeavingNow ? { leaving: true } : {}) });
  });
  app.get(ProtectedResource.PATHS, (request, response) => {
    if (gate.isAddressed(request, response)) response.json(resource.metadata(request.path));
  });
  app.all("/artifacts/:token", async (request, response) => {
    if (gate.isAddressed(request, response)) await artifacts.serve(request.params.token, request, response);
  });
  // For workers, which know this replica by whatever name; the id is the right to ask.
  app.all("/transfers/:id", async (request, response) => {
    await transfers.serve(request.params.id, request, response).catch(() => response.destroy()); // the other side went away
  });
  app.use((request, response) => {
    gate.enter(request, response, () => response.status(404).end());
  });
  const turns = new PrincipalTurns(deps.maxWaiting);
  // Express gives every request and response another prototype. V8 keeps such objects, with all that hangs on them, past
  // its small collections: 40 KB a call until a full one, and 10 ms pauses. So calls do not pass through it.
  return (request, response) => {
    if (!MCP_URL.test(request.url ?? "")) return app(request, response);
    gate.enter(request, response, (principal) => {
      const isTaken = turns.begin(principal, () => {
        if (response.destroyed) return; // the client left while others had their turn
        const auth = { token: "", clientId: principal, scopes: [] };
        mcp.handle(Object.assign(request, { auth }) as McpRequest, response).catch(() => response.destroy()); // the client went away, or Redis did
      });
      if (!isTaken) answerQueueFull(request, response).catch(() => response.destroy());
    });
  };
};
