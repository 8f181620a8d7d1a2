import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { newIncarnationId, type SessionId } from "../shared/ids.ts";
import { MetricsServer } from "../shared/metrics/metrics-server.ts";
import { collectProcessMetrics } from "../shared/metrics/process-metrics.ts";
import { RedisMetrics } from "../shared/metrics/redis-metrics.ts";
import { Records } from "../shared/records.ts";
import { closeRedis, createRedis, whenReady } from "../shared/redis/connect.ts";
import { Placement } from "../shared/redis/placement.ts";
import { SessionScripts } from "../shared/redis/session-scripts.ts";
import { StoreIdentity } from "../shared/redis/store-identity.ts";
import { type Service, stopInReverse } from "../shared/service.ts";
import { VERSION } from "../shared/version.ts";
import { CallConsumer } from "./call-consumer.ts";
import { CheckpointStore } from "./checkpoint/checkpoint-store.ts";
import { CheckpointSweeper } from "./checkpoint/checkpoint-sweeper.ts";
import { openObjectStore } from "./checkpoint/open-store.ts";
import { Recovery } from "./checkpoint/recovery.ts";
import type { WorkerConfig } from "./config.ts";
import { Egress } from "./egress/egress.ts";
import { EgressRules } from "./egress/egress-rules.ts";
import { DrainWatch } from "./handover/drain-watch.ts";
import { LeftPlaces } from "./handover/left-places.ts";
import { Successor } from "./handover/successor.ts";
import { Takeover } from "./handover/takeover.ts";
import { Beats } from "./lease/beats.ts";
import { HeirWatch } from "./lease/heir-watch.ts";
import { LeaseGuard } from "./lease/lease-guard.ts";
import { PrincipalMasks } from "./masking/principal-masks.ts";
import { WorkerMetrics } from "./metrics.ts";
import { PackageCache } from "./packages/package-cache.ts";
import { PlacementConsumer } from "./placement-consumer.ts";
import type { AgentFiles } from "./sandbox/agent-files.ts";
import { DEFAULT_LIMITS } from "./sandbox/container-spec.ts";
import { Engine } from "./sandbox/engine.ts";
import { SandboxHost } from "./sandbox/sandbox-host.ts";
import { SandboxImages } from "./sandbox/sandbox-images.ts";
import { SandboxPool } from "./sandbox/sandbox-pool.ts";
import { readSeccompProfile } from "./sandbox/seccomp-profile.ts";
import { ContainerProvider } from "./session/container-provider.ts";
import { ContainerRemoval } from "./session/container-removal.ts";
import { CpuAccounts } from "./session/cpu-accounts.ts";
import type { Executor } from "./session/owned-session.ts";
import { SessionKeeper } from "./session/session-keeper.ts";
import { OrphanSweeper } from "./sweeper/orphan-sweeper.ts";
import { applyPatch } from "./tools/apply-patch.ts";
import { getArtifact, listArtifacts, putArtifact } from "./tools/artifacts.ts";
import { createCheckpoint, forkSession, restoreCheckpoint } from "./tools/checkpoints.ts";
import { conformanceExecutors } from "./tools/conformance.ts";
import { diffWorkspace } from "./tools/diff-workspace.ts";
import { editFile } from "./tools/edit-file.ts";
import { listFiles, readFile, writeFile } from "./tools/files.ts";
import { installPackages } from "./tools/install-packages.ts";
import { killProcess } from "./tools/kill-process.ts";
import { runChecks } from "./tools/run-checks.ts";
import { runCode } from "./tools/run-code.ts";
import { runCommand } from "./tools/run-command.ts";
import { runTests } from "./tools/run-tests.ts";
import { searchFiles } from "./tools/search-files.ts";
import { closeSession, createSession } from "./tools/sessions.ts";
import { writeProcess } from "./tools/write-process.ts";
import { receiveFile } from "./transfer/receive-file.ts";
import { sendFile } from "./transfer/send-file.ts";
import { registerWorkerGauges } from "./worker-gauges.ts";

const DRAIN_POLL_MS = 50;
/** By which sessions reach the package cache; no name of the internet can be the same. */
const PACKAGES_NAME = "packages.codegen-mcp.internal";
/** How long the next worker of this host may take to come. */
const HANDED_OVER_LEASE_MS = 30_000;
/** How long calls whose processes were killed may take to say so. */
const KILLED_MS = 3_000;
/** What each service gets to stop when Redis, which some of them wait for, is away. */
const STOP_WITHOUT_REDIS_MS = 1_000;

/** One worker incarnation, wired. It takes sessions once Redis and Docker are there, and says what it waits for. */
export class Worker implements Service {
  readonly incarnation = newIncarnationId();
  readonly #services: Service[];
  readonly #keeper: SessionKeeper;
  readonly #host: SandboxHost;
  readonly #placement: PlacementConsumer;
  readonly #store: StoreIdentity;
  readonly #beats: Beats;
  readonly #pool: SandboxPool;
  readonly #successor: Successor | undefined;
  readonly #metricsServer: MetricsServer;
  readonly #leftPlaces: LeftPlaces | undefined;
  readonly #redis;
  readonly #subscriber;
  readonly #queueRedis;
  readonly #starting = new AbortController();
  #started: Promise<void> | undefined;

  constructor(
    private readonly config: WorkerConfig,
    private readonly log: Logger,
    agentFiles: AgentFiles,
    /** Somebody wants this worker to drain: whoever made it stops it. */
    onDrainAsked: () => void,
  ) {
    const redis = createRedis(config.REDIS_URL, "patient", log);
    const subscriber = createRedis(config.REDIS_URL, "subscriber", log);
    const queueRedis = createRedis(config.REDIS_URL, "patient", log);
    this.#redis = redis;
    this.#subscriber = subscriber;
    this.#queueRedis = queueRedis;
    const worker = this.incarnation;
    const { CAPACITY: capacity, LEASE_MS: leaseMs, BEAT_MS: beatMs } = config;

    const registry = new Registry();
    this.#metricsServer = new MetricsServer(registry, { host: config.METRICS_HOST, port: config.METRICS_PORT });
    collectProcessMetrics(registry, "worker");
    new RedisMetrics(registry, redis);
    const executors = new Map<string, Executor>();
    const metrics = new WorkerMetrics(registry, (tool) => executors.has(tool));
    const scripts = new SessionScripts(redis, metrics);
    const store = new StoreIdentity(redis, config.DEPLOYMENT);
    this.#store = store;
    const placement = new Placement(redis);
    const engine = new Engine(new Docker());
    const own = ["python", "node", "polyglot"].map((name) => [name, `codegen-mcp/${name}:${VERSION}`] as const);
    const images = new SandboxImages([...own, ...config.SANDBOX_IMAGES], config.SANDBOX_IMAGE);
    const limits = { ...DEFAULT_LIMITS, diskMb: config.WORKSPACE_MB, pids: config.SANDBOX_PIDS };
    const rules = config.ALLOW_EGRESS ? EgressRules.read(config.EGRESS_FILE) : undefined;
    const egress = rules && new Egress({ redis, metrics, log }, rules);
    const host = new SandboxHost(
      { engine, metrics, log },
      {
        deployment: config.DEPLOYMENT,
        store: () => store.id,
        worker,
        images,
        agentImage: `codegen-mcp/agent:${VERSION}`,
        agentFiles,
        runFolder: join(config.RUN_DIR, worker),
        transport: config.AGENT_TRANSPORT,
        limits,
        seccompProfile: readSeccompProfile(config.SECCOMP_PROFILE),
        runtime: config.SANDBOX_RUNTIME,
        egress,
      },
    );
    this.#host = host;
    const packages = new PackageCache(
      { offer: (name, port) => egress?.offer(name, port), log },
      {
        name: PACKAGES_NAME,
        folder: config.PACKAGE_CACHE_DIR,
        limitBytes: config.PACKAGE_CACHE_MB * 1024 * 1024,
        pipIndexUrl: config.PIP_INDEX_URL,
        npmRegistryUrl: config.NPM_REGISTRY_URL,
      },
    );
    const isBusy = (): boolean => recovery.isRestoring;
    const pool = new SandboxPool({ host, isBusy, metrics, log }, config.POOL_SIZE);
    this.#pool = pool;
    const onRoom = (): void => void this.#placement.takeOne().catch(() => {}); // the next doorbell tries again
    const { diskMb, pids } = limits;
    const facts = { defaultImage: images.defaultName, network: config.DEFAULT_NETWORK, diskMb, pids };
    const checkpointStore = new CheckpointStore(
      openObjectStore(config.CHECKPOINT_STORE, { region: config.S3_REGION, endpoint: config.S3_ENDPOINT }),
      async () => {
        if (!store.id) throw new Error("the store's identity is not known yet");
        return store.id;
      },
    );
    const { DURABILITY: durability, CHECKPOINT_QUIET_MS: quietMs } = config;
    const recovery = new Recovery({ redis, scripts, store: checkpointStore, metrics, log }, { durability, quietMs });
    const isAvailable = (): boolean => host.isAvailable;
    const load = (): number => this.#placement.load;
    const onBeat = (sentAtMs: number): void => guard.onBeat(sentAtMs);
    const beatOptions = { redisUrl: config.REDIS_URL, logLevel: config.LOG_LEVEL, worker, capacity, beatMs, leaseMs };
    const beats = new Beats({ redis, load, isAvailable, onBeat, log }, beatOptions);
    this.#beats = beats;
    const onGivenBack = (sid: SessionId, principal: string): Promise<void> => this.#placement.giveBack(sid, principal);
    const accounts = new CpuAccounts(redis, log);
    const removal = new ContainerRemoval(accounts, log);
    const egressEnvironment = async (principal: string): Promise<Record<string, string>> => ({
      ...egress?.environmentFor(principal),
      ...(await packages.environment()),
    });
    const providing = { redis, scripts, beats, pool, recovery, removal, accounts, egressEnvironment, log };
    const containers = new ContainerProvider(providing, facts);
    const masks = config.MASK_SECRETS
      ? new PrincipalMasks((principal) => rules?.secretsOf(principal).map(({ value }) => value) ?? [])
      : undefined;
    const keeping = {
      redis,
      scripts,
      beats,
      containers,
      removal,
      recovery,
      executors,
      metrics,
      secretsOf: (principal: string) => masks?.of(principal),
      log,
      onRoom,
      onGivenBack,
    };
    const keeper = new SessionKeeper(keeping, worker);
    this.#keeper = keeper;
    const guard = new LeaseGuard(
      { beats, sessions: () => keeper.sessions(), giveUp: (session) => keeper.giveUp(session), log },
      leaseMs,
    );
    executors
      .set("create_session", createSession(new Records(redis)))
      .set("close_session", closeSession(keeper))
      .set("create_checkpoint", createCheckpoint(new Records(redis)))
      .set("restore_checkpoint", restoreCheckpoint(new Records(redis)))
      .set("fork_session", forkSession)
      .set("run_command", runCommand)
      .set("run_code", runCode)
      .set("write_process", writeProcess)
      .set("kill_process", killProcess)
      .set("run_tests", runTests)
      .set("run_checks", runChecks)
      .set("install_packages", installPackages)
      .set("read_file", readFile)
      .set("write_file", writeFile)
      .set("edit_file", editFile)
      .set("apply_patch", applyPatch)
      .set("list_files", listFiles)
      .set("search_files", searchFiles)
      .set("diff_workspace", diffWorkspace(new Records(redis)))
      .set("list_artifacts", listArtifacts)
      .set("get_artifact", getArtifact)
      .set("put_artifact", putArtifact)
      .set("send_file", sendFile)
      .set("receive_file", receiveFile);
    if (config.CONFORMANCE_FIXTURES) for (const [name, run] of conformanceExecutors) executors.set(name, run);

    const mayTake = (): boolean => host.isAvailable && beats.mayStart;
    const placing = { redis: queueRedis, placement, scripts, keeper, mayTake, metrics, log };
    this.#placement = new PlacementConsumer(placing, { worker, capacity, leaseMs });
    const concurrency = capacity * config.MAX_LANE_DEPTH;
    const calls = new CallConsumer({ redis: queueRedis, subscriber, keeper, log }, worker, concurrency);
    const takeover = new Takeover({ redis, queueRedis, scripts, host, keeper, log }, worker);
    if (config.STATE_DIR) {
      this.#successor = new Successor({ host, beats, takeover, log }, worker, config.STATE_DIR);
      const room = (): number => (mayTake() ? capacity - keeper.size : 0);
      this.#leftPlaces = new LeftPlaces({ host, room, takeover, log }, config.STATE_DIR);
    }
    host.whenAvailable(() => this.#successor?.takeOver());
    host.whenAvailable(() => beats.beatNow());
    const sweeper = new OrphanSweeper(
      { redis, store, engine, host, isBusy, log },
      {
        deployment: config.DEPLOYMENT,
        worker,
        runFolders: config.RUN_DIR,
        everyMs: config.SWEEP_MS,
        orphanAgeMs: config.ORPHAN_AGE_MS,
      },
    );
    const checkpointSweeper = new CheckpointSweeper(
      { redis, identity: store, store: checkpointStore, log },
      { worker, everyMs: config.CHECKPOINT_SWEEP_MS, graceMs: config.CHECKPOINT_GRACE_MS },
    );
    registerWorkerGauges(registry, {
      capacity,
      redis,
      keeper,
      pool,
      isDockerThere: isAvailable,
      sinceBeatMs: () => beats.sinceBeatMs,
    });
    const heirWatch = new HeirWatch(
      {
        redis,
        freeSlots: () => capacity - keeper.size,
        expect: (count) => pool.expect(count),
        log,
      },
      { worker, leaseMs },
    );
    const watch = new DrainWatch({ redis, onAsked: onDrainAsked, log }, worker);
    const sweepers = [sweeper, checkpointSweeper, ...(this.#leftPlaces ? [this.#leftPlaces] : [])];
    this.#services = [
      ...(egress ? [packages] : []),
      host,
      pool,
      beats,
      guard,
      accounts,
      keeper,
      calls,
      this.#placement,
      heirWatch,
      ...sweepers,
      watch,
    ];
  }

  /** Where Prometheus scrapes; undefined where `METRICS_PORT` is not set. */
  get metricsUrl(): string | undefined {
    return this.#metricsServer.url;
  }

  /** Resolves when it began to try: Redis and Docker may come later. */
  start(): void {
    this.#started ??= this.#run();
  }

  /**
   * With a state folder, SIGTERM hands the sessions over to the next worker of this host, containers and all. Any other
   * stop drains: running calls get `DRAIN_MS`, the sessions go back into the line, everything this worker made is removed.
   */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<void> {
    if (!this.#started) return;
    this.#starting.abort();
    await this.#started;
    await this.#metricsServer.stop();
    const connections = [this.#redis, this.#subscriber, this.#queueRedis];
    const gone = this.#redisGone(connections);
    if (signal === "SIGTERM" && this.#successor) {
      const handedOver = this.#handOver().catch((err: unknown) => this.log.warn({ err }, "not all was handed over"));
      await Promise.race([handedOver, gone]);
      await this.#successor.leave().catch((err: unknown) => this.log.warn({ err }, "no other worker will take over"));
      await Promise.all(connections.map(closeRedis));
      this.#successor.end();
      return;
    }
    const drained = this.#drain().catch((err: unknown) => this.log.warn({ err }, "sessions were not handed back"));
    await Promise.race([drained, gone]);
    await this.#host.removeOwned().catch((err: unknown) => this.log.warn({ err }, "containers may be left behind"));
    const services = this.#services.map((service) => ({
      start: () => {},
      stop: async () => await Promise.race([service.stop(), gone.then(() => sleep(STOP_WITHOUT_REDIS_MS))]),
    }));
    await stopInReverse(services, (err) => this.log.warn({ err }, "a service did not stop cleanly"));
    await Promise.all(connections.map(closeRedis));
    this.#successor?.end();
  }

  /** Resolves when a connection is away: whoever waits for it must not keep us from stopping. */
  async #redisGone(connections: Redis[]): Promise<void> {
    await Promise.race(
      connections.map(async (redis) => {
        if (redis.status === "ready") await once(redis, "close");
      }),
    );
    await Promise.all(connections.map(closeRedis)); // what waits on them fails now
  }

  async #drain(): Promise<void> {
    const keeper = this.#keeper;
    await this.#pause();
    await ended(() => keeper.runningCalls, this.config.DRAIN_MS);
    await Promise.race([keeper.killAll(), sleep(KILLED_MS)]); // also what runs in the background: files stand still then
    await ended(() => keeper.runningCalls, KILLED_MS);
    await keeper.giveBackAll();
  }

  /** The sessions stay this worker's, and their containers run on, until a successor takes them over or nobody comes. */
  async #handOver(): Promise<void> {
    const keeper = this.#keeper;
    await this.#pause();
    await ended(() => keeper.boundCalls, this.config.DRAIN_MS);
    await this.#pool.stop();
    const vouch = await this.#beats.leave(Math.max(HANDED_OVER_LEASE_MS, this.config.LEASE_MS));
    await keeper.stop();
    await keeper.leaveAll(vouch);
    this.log.info({ worker: this.incarnation }, "sessions are handed over");
  }

  async #pause(): Promise<void> {
    await Promise.all([this.#placement.stop(), this.#leftPlaces?.stop(), this.#keeper.pauseAll()]);
    await this.#keeper.pauseAll(); // also those that were just being taken
  }

  async #run(): Promise<void> {
    const { signal } = this.#starting;
    const connections = [this.#redis, this.#subscriber, this.#queueRedis];
    await this.#metricsServer.start(); // also what it waits for is to be seen
    await Promise.all(connections.map((redis) => whenReady(redis, signal)));
    if (!signal.aborted) await this.#store.establish();
    await this.#successor?.begin();
    for (const service of this.#services) if (!signal.aborted) await service.start();
    if (!signal.aborted) this.log.info({ metrics: this.metricsUrl, worker: this.incarnation }, "worker started");
  }
}

/** Resolves when nothing is left of what is counted, or the time is over. */
const ended = async (count: () => number, timeoutMs: number): Promise<void> => {
  const until = performance.now() + timeoutMs;
  while (count() > 0 && performance.now() < until) await sleep(DRAIN_POLL_MS);
};
