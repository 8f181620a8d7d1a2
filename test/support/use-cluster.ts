import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import type { Redis } from "ioredis";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import type { SessionId } from "../../shared/ids.ts";
import { closeRedis, createRedis, whenReady } from "../../shared/redis/connect.ts";
import { keys } from "../../shared/redis/keys.ts";
import { RoundRobinProxy } from "./round-robin-proxy.ts";
import { silentLog } from "./silent-log.ts";
import { connectModern, type ToolClient } from "./tool-client.ts";

const TIMEOUT_MS = 90_000;
/** Enough for every test, small, and quick where a test would have to wait. */
const SETTINGS = { POOL_SIZE: "2", WORKSPACE_MB: "128", REATTACH_MS: "1000" };

const docker = new Docker();

/** Ids of all containers of a deployment, running or not. */
export const containersOf = async (deployment: string): Promise<string[]> => {
  const filters = { label: [`codegen-mcp.deployment=${deployment}`] };
  return (await docker.listContainers({ all: true, filters })).map(({ Id }) => Id);
};

/** Removes a container by hand, as an operator in a hurry would. */
export const removeContainer = async (id: string): Promise<void> => {
  await docker.getContainer(id).remove({ force: true });
};

class Cluster {
  private constructor(
    private readonly folder: string,
    readonly stack: EmbeddedStack,
    private readonly proxy: RoundRobinProxy,
    /** The stack's own Redis. */
    readonly redis: Redis,
  ) {}

  static async start(env: Record<string, string>): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    const stack = await EmbeddedStack.start({ folder, coordinators: 2, env: { ...SETTINGS, ...env } });
    const redis = createRedis(stack.redis.url, "patient", silentLog);
    await whenReady(redis);
    return new Cluster(folder, stack, await RoundRobinProxy.start(stack.urls), redis);
  }

  /** The proxy's: each request goes to another replica. */
  get url(): string {
    return this.proxy.url;
  }

  /** Which replicas the proxy sends requests to from now on. */
  useReplicas(urls: readonly string[]): void {
    this.proxy.use(urls);
  }

  /** The container that a session has now. */
  async containerOf(sid: unknown): Promise<string> {
    return (await this.redis.hget(keys.session(sid as SessionId), "container")) ?? "";
  }

  /** Runs a command in the session's workspace by the engine's own way, past the lane. */
  async exec(sid: unknown, command: string): Promise<void> {
    const container = docker.getContainer(await this.containerOf(sid));
    const WorkingDir = "/home/dev/workspace";
    const exec = await container.exec({ Cmd: ["bash", "-c", command], WorkingDir, AttachStdout: true });
    const stream = await exec.start({});
    await new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject).resume());
    const { ExitCode } = await exec.inspect();
    if (ExitCode !== 0) throw new Error(`"${command}" ended with ${ExitCode}`);
  }

  /** @throws {Error} when it did not end cleanly, or left a container behind */
  async stop(): Promise<void> {
    await closeRedis(this.redis);
    const codes = await this.stack.stop();
    await this.proxy.stop();
    if (codes.some((code) => code !== 0))
      throw new Error(`a process did not end cleanly: ${codes}; logs in ${this.folder}`);
    const left = await containersOf(this.stack.deployment);
    if (left.length > 0) throw new Error(`${left.length} containers are left; logs in ${this.folder}`);
    const filters = { label: [`codegen-mcp.deployment=${this.stack.deployment}`] };
    const networks = await docker.listNetworks({ filters });
    if (networks.length > 0) throw new Error(`${networks.length} networks are left; logs in ${this.folder}`);
    await rm(this.folder, { recursive: true });
  }
}

let shared: Promise<Cluster> | undefined;
after(async function () {
  this.timeout(TIMEOUT_MS);
  await (await shared)?.stop();
});

/**
 * Two coordinators behind a proxy without affinity and one worker, on real Redis and Docker. All tests share one, which
 * ends after the last of them; with settings of its own, known at the latest when it starts, a `describe` gets one for itself.
 */
export const useCluster = (env?: Record<string, string> | (() => Record<string, string>)) => {
  let cluster: Cluster | undefined;
  const ends: (() => Promise<unknown>)[] = [];
  before(async function () {
    this.timeout(TIMEOUT_MS);
    shared ??= env ? undefined : Cluster.start({});
    cluster = await (env ? Cluster.start(typeof env === "function" ? env() : env) : shared);
  });
  after(async function () {
    this.timeout(TIMEOUT_MS);
    for (const end of ends.reverse()) await end();
    if (env) await cluster?.stop();
  });
  const get = (): Cluster => {
    if (!cluster) throw new Error("the cluster is there once the tests run");
    return cluster;
  };
  return {
    get url(): string {
      return get().url;
    },
    get stack(): EmbeddedStack {
      return get().stack;
    },
    get redis(): Redis {
      return get().redis;
    },
    useReplicas: (urls: readonly string[]): void => get().useReplicas(urls),
    containerOf: (sid: unknown): Promise<string> => get().containerOf(sid),
    exec: (sid: unknown, command: string): Promise<void> => get().exec(sid, command),
    /** A client with a session of its own for all the tests, given to `take` before them; both end after them. */
    withSession: (take: (client: ToolClient, session_id: unknown) => void, settings = {}): void => {
      before(async () => {
        const client = await connectModern(get().url);
        const { session_id } = (await client.call("create_session", settings)).structured;
        ends.push(async () => {
          await client.call("close_session", { session_id });
          await client.close();
        });
        take(client, session_id);
      });
    },
    /** Runs `end` after the tests, while everything is still there. */
    beforeStop: (end: () => Promise<unknown>): void => void ends.push(end),
  };
};
