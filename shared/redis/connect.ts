import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Logger } from "pino";
import { parseRedisAddress } from "./redis-address.ts";

/** One second always: growing delays made recovery after an outage twelve times slower (measured, see ARCHITECTURE.md). */
const RECONNECT_DELAY_MS = 1_000;

export type RedisRole =
  /** Waits out an outage: commands queue and are sent again after a reconnect. For workers, whose writes are records. */
  | "patient"
  /** Rejects at once while Redis is away, so that a client is told instead of kept waiting. For coordinators. */
  | "failFast"
  /** Rejects at once and sends nothing a second time: a beat that comes late says nothing. */
  | "beat"
  /** Receives messages; subscribes again by itself after a reconnect. */
  | "subscriber";

/** A connection that owes an answer for longer is half open, and is made anew; BullMQ waits for jobs up to 10 s. */
const SILENT_MAX_MS = 12_000;
/** A subscriber asks nothing by itself, and would wait for ever at a connection that is half open. */
const PULSE_MS = 5_000;
/** A peer that does not answer a beat does not answer a goodbye either. */
const GOODBYE_MS = 100;

const OPTIONS = {
  patient: { maxRetriesPerRequest: null, socketTimeout: SILENT_MAX_MS },
  failFast: { maxRetriesPerRequest: 1, enableOfflineQueue: false, socketTimeout: SILENT_MAX_MS },
  beat: {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 2_000,
    disconnectTimeout: GOODBYE_MS,
  },
  subscriber: { maxRetriesPerRequest: null, autoResubscribe: true, socketTimeout: SILENT_MAX_MS },
} satisfies Record<RedisRole, RedisOptions>;

/**
 * A connection that never gives up and never crashes the process: it says once that Redis went away, and once that it
 * is back. Not connected yet: call `connect()`, or `whenReady`.
 */
export const createRedis = (url: string, role: RedisRole, log: Logger): Redis => {
  const redis = open(url, role);
  let isAway = false;
  redis.on("error", (err: Error) => {
    if (!isAway) log.warn({ err, role }, "Redis does not answer; trying again every second");
    isAway = true;
  });
  redis.on("ready", () => {
    if (isAway) log.info({ role }, "Redis is back");
    isAway = false;
  });
  if (role === "subscriber" && redis instanceof Redis) keepAsking(redis); // a cluster's subscriber is its own affair
  return redis;
};

const keepAsking = (redis: Redis): void => {
  const pulse = setInterval(() => {
    if (redis.status === "ready") redis.ping().catch(() => {}); // `error` says what is wrong
  }, PULSE_MS);
  pulse.unref();
  redis.once("end", () => clearInterval(pulse));
};

const retryStrategy = (): number => RECONNECT_DELAY_MS;

const open = (url: string, role: RedisRole): Redis => {
  const address = parseRedisAddress(url);
  const options = { ...OPTIONS[role], lazyConnect: true, retryStrategy };
  if (address?.kind === "sentinel") {
    const { nodes: sentinels, login, master: name } = address;
    const sentinelLogin = login.password === undefined ? {} : { sentinelPassword: login.password };
    const follow = { sentinels, name, sentinelRetryStrategy: retryStrategy };
    return new Redis({ ...options, ...login, ...sentinelLogin, ...follow });
  }
  if (address?.kind === "socket") return new Redis({ ...options, ...address.login, path: address.path });
  if (address?.kind !== "cluster") return new Redis(url, options);
  const cluster = new Cluster(address.nodes, {
    enableOfflineQueue: role === "patient" || role === "subscriber",
    lazyConnect: true,
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...OPTIONS[role], ...address.login },
  });
  // It has every command and event that is used here; what it lacks (SELECT, MONITOR and the like) is not.
  return cluster as unknown as Redis;
};

/** Starts connecting and resolves at the first `ready`, however long Redis takes to come, or when `signal` aborts. */
export const whenReady = async (redis: Redis, signal?: AbortSignal): Promise<void> => {
  if (redis.status === "ready") return;
  const ready = new Promise<void>((resolve) => {
    redis.once("ready", resolve);
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
  if (redis.status === "wait") redis.connect().catch(() => {}); // the retry strategy goes on; `error` was logged
  await ready;
};

/** Whether a command failed because Redis is away or was cut off, not because of the command. */
export const isRedisAway = (error: unknown): boolean =>
  error instanceof Error &&
  (["MaxRetriesPerRequestError", "ClusterAllFailedError"].includes(error.name) ||
    /^(Connection is closed|Stream isn't writeable)/.test(error.message));

/** Ends the connection now. A command that is under way rejects. */
export const closeRedis = async (redis: Redis): Promise<void> => {
  redis.disconnect();
};
