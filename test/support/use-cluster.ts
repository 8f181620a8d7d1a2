import Docker from "dockerode";
import type { Redis } from "ioredis";
import type { EmbeddedStack, StackOptions } from "../../compose/embedded/embedded-stack.ts";
import type { SessionId } from "../../shared/ids.ts";
import { closeRedis, createRedis, whenReady } from "../../shared/redis/connect.ts";
import { keys } from "../../shared/redis/keys.ts";
import { RoundRobinProxy } from "./round-robin-proxy.ts";
import { silentLog } from "./use-redis.ts";
import { useStack } from "./use-stack.ts";

/** Enough for every test, and small, so that several stacks fit on one machine. */
const SMALL = { POOL_SIZE: "1", WORKSPACE_MB: "64" };

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

export interface Cluster {
  /** The proxy's: each request goes to another replica. */
  readonly url: string;
  readonly stack: EmbeddedStack;
  /** The stack's own Redis. */
  readonly redis: Redis;
  /** The container that a session has now. */
  containerOf(sid: unknown): Promise<string>;
  /** Runs `end` after the tests, while everything is still there. */
  beforeStop(end: () => Promise<unknown>): void;
}

/** Two coordinators behind a proxy without affinity and one worker, on real Redis and Docker, for one `describe`. */
export const useCluster = (options: Omit<StackOptions, "folder"> = {}): Cluster => {
  const env = { ...SMALL, ...options.env };
  const ends: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  const started = useStack({ coordinators: 2, ...options, env });
  let proxy: RoundRobinProxy | undefined;
  let redis: Redis | undefined;
  before(async () => {
    proxy = await RoundRobinProxy.start(started.stack.urls);
    redis = createRedis(started.stack.redis.url, "patient", silentLog);
    await whenReady(redis);
  });
  after(async () => {
    if (redis) await closeRedis(redis);
    await proxy?.stop();
  });
  return {
    get url() {
      return proxy?.url ?? "";
    },
    get stack() {
      return started.stack;
    },
    get redis() {
      return redis as Redis;
    },
    containerOf: async (sid) => (await redis?.hget(keys.session(sid as SessionId), "container")) ?? "",
    beforeStop: (end) => void ends.push(end),
  };
};
