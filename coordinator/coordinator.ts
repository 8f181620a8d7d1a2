import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { localhostAllowedHostnames } from "@modelcontextprotocol/server";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { randomText } from "../shared/ids.ts";
import { LossMetrics } from "../shared/metrics/loss-metrics.ts";
import { MetricsServer } from "../shared/metrics/metrics-server.ts";
import { collectProcessMetrics } from "../shared/metrics/process-metrics.ts";
import { RedisMetrics } from "../shared/metrics/redis-metrics.ts";
import { Records } from "../shared/records.ts";
import { closeRedis, createRedis, whenReady } from "../shared/redis/connect.ts";
import { Placement } from "../shared/redis/placement.ts";
import { SessionScripts } from "../shared/redis/session-scripts.ts";
import { type Service, stopInReverse } from "../shared/service.ts";
import { createApp } from "./app.ts";
import { ArtifactLinks } from "./artifacts/artifact-links.ts";
import { ArtifactRoutes } from "./artifacts/artifact-routes.ts";
import { FileResources } from "./artifacts/file-resources.ts";
import { Transfers } from "./artifacts/transfers.ts";
import { AuditKeeper } from "./audit/audit-keeper.ts";
import { AuditMetrics } from "./audit/audit-metrics.ts";
import { AuditStore } from "./audit/audit-store.ts";
import { AuditStream } from "./audit/audit-stream.ts";
import { EndedCalls } from "./audit/ended-calls.ts";
import { Past } from "./audit/past.ts";
import { RequestTrail } from "./audit/request-trail.ts";
import { Authenticator } from "./auth/authenticator.ts";
import { Gate } from "./auth/gate.ts";
import { ProtectedResource } from "./auth/protected-resource.ts";
import { namesOf } from "./bind-address.ts";
import { CallWaiter } from "./calls/call-waiter.ts";
import { CallWatcher } from "./calls/call-watcher.ts";
import { Doorbells } from "./calls/doorbells.ts";
import { LaneCalls } from "./calls/lane-calls.ts";
import { MemoryGuard } from "./calls/memory-guard.ts";
import { PlacementKeeper } from "./calls/placement-keeper.ts";
import { PrincipalDepth } from "./calls/principal-depth.ts";
import { SessionOpener } from "./calls/session-opener.ts";
import { SessionResolver } from "./calls/session-resolver.ts";
import { Submitter } from "./calls/submitter.ts";
import type { CoordinatorConfig } from "./config.ts";
import { createConformanceServer } from "./mcp/conformance/conformance-server.ts";
import { McpEndpoint } from "./mcp/endpoint.ts";
import { LegacyLeg } from "./mcp/legacy-leg.ts";
import { McpSessions } from "./mcp/mcp-sessions.ts";
import { Offers } from "./mcp/offers.ts";
import { RedisEventBus } from "./mcp/redis-event-bus.ts";
import { createServer as createMcpServer, type ServerFactory } from "./mcp/server-factory.ts";
import { SseInbox } from "./mcp/sse/sse-inbox.ts";
import { SseLeg } from "./mcp/sse/sse-leg.ts";
import { StreamResumer } from "./mcp/stream-resumer.ts";
import { CoordinatorMetrics } from "./metrics.ts";
import { Quotas } from "./quotas/quotas.ts";
import { RecordSweeper } from "./record-sweeper.ts";
import { TlsFiles } from "./tls-files.ts";
import { ToolRunner } from "./tool-runner.ts";
import { ToolService } from "./tool-service.ts";
import { CheckpointTools } from "./tools/checkpoint-tools.ts";
import { CodegenMcpTools } from "./tools/codegen-mcp-tools.ts";
import { ProcessTools } from "./tools/process-tools.ts";
import { RecordTools } from "./tools/record-tools.ts";
import { WorkerReaper } from "./worker-reaper.ts";

/** How often a stopping replica lets go of connections whose answer was sent. */
const CLOSE_IDLE_MS = 50;

/** One coordinator replica, wired. It listens at once; `/readyz` says when Redis is there. */
export class Coordinator implements Service {
  /** What every leg calls. */
  readonly tools: ToolService;
  readonly #server: Server;
  readonly #metricsServer: MetricsServer;
  readonly #tls: TlsFiles | undefined;
  readonly #authenticator: Authenticator;
  readonly #quotas: Quotas;
  readonly #services: Service[];
  readonly #mcp: McpEndpoint;
  readonly #lane: LaneCalls;
  readonly #redis;
  readonly #subscriber;
  readonly #queueRedis;
  readonly #starting = new AbortController();
  #isStarted = false;
  #isLeaving = false;

  constructor(
    private readonly config: CoordinatorConfig,
    private readonly log: Logger,
  ) {
    const redis = createRedis(config.REDIS_URL, "failFast", log);
    const subscriber = createRedis(config.REDIS_URL, "subscriber", log);
    const queueRedis = createRedis(config.REDIS_URL, "failFast", log);
    this.#redis = redis;
    this.#subscriber = subscriber;
    this.#queueRedis = queueRedis;

    const registry = new Registry();
    this.#metricsServer = new MetricsServer(registry, { host: config.METRICS_HOST, port: config.METRICS_PORT });
    collectProcessMetrics(registry, "coordinator");
    new RedisMetrics(registry, redis);
    const losses = new LossMetrics(registry);

    const records = new Records(redis);
    const scripts = new SessionScripts(redis, losses);
    const placement = new Placement(redis);
    const countWorkers = (): Promise<number> => placement.countWorkers(config.LEASE_MS);
    const watcher = new CallWatcher({ subscriber, log });
    const doorbells = new Doorbells({ redis: queueRedis, log });
    const memory = new MemoryGuard(redis, log);
    const metrics = new CoordinatorMetrics(registry, {
      waitingSessions: () => placement.waiting(),
      liveWorkers: countWorkers,
      redisMemory: () => memory.usedShare,
    });
    const quotas = new Quotas({ redis, records, log }, config.QUOTAS_FILE);
    this.#quotas = quotas;
    const store = config.DATABASE_URL ? new AuditStore(config.DATABASE_URL, log) : undefined;
    const past = new Past({ redis, store, log });
    const opener = new SessionOpener(
      { redis, scripts, placement, watcher, doorbells, memory, quotas, past, metrics },
      config.MAX_WAITING_SESSIONS,
    );
    const resolver = new SessionResolver({ redis, records, opener });
    const reaper = new WorkerReaper({ redis, queueRedis, scripts, opener, metrics, log }, config.LEASE_MS);
    const silentWorkers = (): readonly string[] | undefined => reaper.silentWorkers;
    const submitter = new Submitter(
      { redis, scripts, watcher, doorbells, memory, quotas, silentWorkers },
      config.MAX_LANE_DEPTH,
    );
    const waiter = new CallWaiter({ watcher, records });
    this.#lane = new LaneCalls({ resolver, opener, submitter, waiter, records, scripts, quotas }, config.REATTACH_MS);

    const isStoreThere = (): boolean => redis.status === "ready";
    const stream = new AuditStream(redis, config.AUDIT_STREAM_MAX);
    const auditMetrics = new AuditMetrics(registry);
    const trail = new RequestTrail({ stream, metrics: auditMetrics, log });
    const ended = new EndedCalls({ redis, subscriber, stream, log });
    const auditing = { redis, records, ended, stream, store, metrics: auditMetrics, log };
    const replica = `c_${randomText(10)}`;
    const auditKeeper = new AuditKeeper(auditing, { replica, retentionDays: config.AUDIT_RETENTION_DAYS });
    const recordTools = new RecordTools({ redis, scripts, records, resolver, waiter, past });
    const reached = (): string => this.url.replace(/\/\/(0\.0\.0\.0|\[::\]):/, "//127.0.0.1:");
    const { PUBLIC_URL, INTERNAL_URL, ARTIFACT_URL_TTL_MS: ttlMs } = config;
    const publicUrl = (): string => PUBLIC_URL || reached();
    const links = new ArtifactLinks(redis, { publicUrl, ttlMs });
    const runner = new ToolRunner({
      lane: this.#lane,
      records: recordTools,
      links,
      processes: new ProcessTools({ scripts, records, resolver, watcher }),
      checkpoints: new CheckpointTools({ records, scripts, resolver, past, lane: this.#lane }),
    });
    this.tools = new ToolService({
      runner,
      codegenMcp: new CodegenMcpTools({ runner, records, scripts }),
      depth: new PrincipalDepth(config.MAX_PRINCIPAL_DEPTH),
      metrics,
      trail,
      isStoreThere,
      log,
    });
    const { tools } = this;
    const resources = new FileResources({ tools, resolver, records });
    const bus = new RedisEventBus({ redis, subscriber, log });
    const createServer: ServerFactory = config.CONFORMANCE_FIXTURES
      ? (context) => createConformanceServer({ tools, runner, bus }, context)
      : (context) => createMcpServer({ tools, resources }, context);
    const sessions = new McpSessions(redis);
    const resumer = new StreamResumer({ sessions, records, tools });
    const legacy = new LegacyLeg({ sessions, createServer, calls: this.#lane, opener, resumer, log });
    const inbox = new SseInbox({ redis, subscriber, log });
    const sse = new SseLeg({ sessions, createServer, calls: this.#lane, inbox, log });
    const offers = new Offers(config.TOOLSETS, config.CONFORMANCE_FIXTURES ? ["conformance"] : []);
    this.#mcp = new McpEndpoint({ createServer, legacy, sse, offers, bus, isStoreThere, log }, config.MAX_BODY_BYTES);
    const keeper = new PlacementKeeper({ redis, placement, opener, doorbells, log }, config.PLACEMENT_TIMEOUT_MS);
    const sweeper = new RecordSweeper({ redis, opener, log });
    this.#services = [watcher, doorbells, memory, quotas, keeper, reaper, sweeper, bus, inbox, auditKeeper, trail];

    const evicts = (): boolean => memory.evicts;
    const transfers = new Transfers();
    const files = {
      links,
      transfers,
      lane: this.#lane,
      records: recordTools,
      internalUrl: () => INTERNAL_URL || reached(),
    };
    const artifacts = new ArtifactRoutes({ ...files, log }, config.MAX_ARTIFACT_BYTES);
    this.#authenticator = new Authenticator(config, log);
    const resource = new ProtectedResource({ publicUrl, issuer: config.OIDC_ISSUER });
    const names = [...localhostAllowedHostnames(), ...namesOf(config.HOST), ...config.ALLOWED_HOSTS];
    if (PUBLIC_URL) names.push(new URL(PUBLIC_URL).hostname);
    const gate = new Gate({ authenticator: this.#authenticator, resource }, names);
    const mcp = this.#mcp;
    const isLeaving = (): boolean => this.#isLeaving;
    const maxWaiting = 2 * config.MAX_PRINCIPAL_DEPTH; // a full replica's, and as many kills and closes
    const serving = { gate, resource, mcp, artifacts, transfers, redis, countWorkers, evicts, isLeaving, maxWaiting };
    const app = createApp(serving);
    const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = config;
    this.#server = cert ? createTlsServer(app) : createHttpServer(app);
    this.#tls = cert ? new TlsFiles(this.#server as TlsServer, { cert, key }, log) : undefined;
    this.#server.keepAliveTimeout = 65_000; // longer than the proxies in front, so that they never reuse a closed one
  }

  /** Such as `http://127.0.0.1:8080`; known once `start` resolved. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `${this.#tls ? "https" : "http"}://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** Where Prometheus scrapes; undefined where `METRICS_PORT` is not set. */
  get metricsUrl(): string | undefined {
    return this.#metricsServer.url;
  }

  /**
   * Resolves when it listens. Waits for Redis in the background; calls are refused until it is there.
   * @throws {ConfigError} when the files of tokens, quotas or the certificate are no good
   */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    await this.#authenticator.start();
    await this.#quotas.load();
    await this.#tls?.start();
    this.#server.listen(this.config.PORT, this.config.HOST);
    await once(this.#server, "listening");
    await this.#metricsServer.start();
    this.log.info({ metrics: this.metricsUrl, url: this.url }, "coordinator listens");
    void this.#startServices().catch((err: unknown) => this.log.error({ err }, "start failed"));
  }

  /** Says that it leaves, for `LEAVE_MS`; then takes no new requests, lets open answers end for `DRAIN_MS`, then closes. None of their calls is cancelled. */
  async stop(): Promise<void> {
    if (!this.#isStarted) return;
    this.#isStarted = false;
    this.#starting.abort();
    this.#isLeaving = true;
    await sleep(this.config.LEAVE_MS, undefined, { ref: false });
    this.#lane.drain();
    this.#mcp.drain();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const closing = setInterval(() => this.#server.closeIdleConnections(), CLOSE_IDLE_MS); // also those that become idle
    await Promise.race([closed, sleep(this.config.DRAIN_MS, undefined, { ref: false })]);
    clearInterval(closing);
    await this.#mcp.close();
    this.#server.closeAllConnections();
    await closed;
    await this.#metricsServer.stop();
    await this.#tls?.stop();
    await this.#authenticator.stop();
    await stopInReverse(this.#services, (err) => this.log.warn({ err }, "a service did not stop cleanly"));
    await Promise.all([this.#redis, this.#subscriber, this.#queueRedis].map(closeRedis));
  }

  async #startServices(): Promise<void> {
    const connections = [this.#redis, this.#subscriber, this.#queueRedis];
    await Promise.all(connections.map((redis) => whenReady(redis, this.#starting.signal)));
    for (const service of this.#services) if (!this.#starting.signal.aborted) await service.start();
    if (!this.#starting.signal.aborted) this.log.info("coordinator is ready");
  }
}
