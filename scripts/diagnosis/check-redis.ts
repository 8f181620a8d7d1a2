import type { Redis } from "ioredis";
import { pino } from "pino";
import { closeRedis, createRedis } from "../../shared/redis/connect.ts";
import { keys } from "../../shared/redis/keys.ts";
import { VERSION } from "../../shared/version.ts";
import { type Finding, note, ok, wrong } from "./finding.ts";

const ANSWERS_MS = 5_000;
const MIN_VERSION = [6, 2];
/** Deadlines and signed URLs compare clocks of several machines. */
const MAX_CLOCK_OFF_MS = 2_000;
const CONFIG = 'redis-cli -u "$REDIS_URL" config set';

/** The records' Redis: version, whether it keeps what it was told, its clock against ours, and the workers it knows. */
export async function checkRedis(url: string): Promise<Finding[]> {
  const redis = createRedis(url, "failFast", pino({ level: "silent" }));
  try {
    await within(ANSWERS_MS, redis.connect());
    return [await ofVersion(redis), ...(await ofConfig(redis)), await ofClock(redis), ...(await ofWorkers(redis))];
  } catch (error) {
    const why = (error as Error).message;
    return [
      wrong("Redis", `REDIS_URL does not answer (${why})`, "sudo systemctl start redis-server, or mend REDIS_URL"),
    ];
  } finally {
    await closeRedis(redis);
  }
}

async function ofVersion(redis: Redis): Promise<Finding> {
  const version = /^redis_version:([\d.]+)/m.exec(await redis.info("server"))?.[1] ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isNew = major > MIN_VERSION[0]! || (major === MIN_VERSION[0] && minor >= MIN_VERSION[1]!);
  return isNew
    ? ok("Redis", version)
    : wrong("Redis", `${version}, older than ${MIN_VERSION.join(".")}`, "apt-get install redis-server");
}

async function ofConfig(redis: Redis): Promise<Finding[]> {
  const [policy, appendonly, fsync] = await Promise.all(
    ["maxmemory-policy", "appendonly", "appendfsync"].map((name) => setting(redis, name)),
  );
  if (policy === undefined) return [note("Redis settings", "it does not show them (CONFIG GET)", "look there by hand")];
  return [
    policy === "noeviction"
      ? ok("Redis eviction", policy)
      : wrong("Redis eviction", `${policy}: records would be evicted`, `${CONFIG} maxmemory-policy noeviction`),
    appendonly !== "yes"
      ? wrong("Redis persistence", "none: a restart loses every session", `${CONFIG} appendonly yes`)
      : fsync === "always"
        ? ok("Redis persistence", "append-only, synced at each write")
        : note(
            "Redis persistence",
            `appendfsync ${fsync}: a crash may lose what was acknowledged`,
            `${CONFIG} appendfsync always`,
          ),
  ];
}

const setting = async (redis: Redis, name: string): Promise<string | undefined> => {
  const answer = (await redis.config("GET", name).catch(() => [])) as string[];
  return answer[1];
};

async function ofClock(redis: Redis): Promise<Finding> {
  const before = Date.now();
  const [seconds, micros] = (await redis.time()).map(Number);
  const there = (seconds ?? 0) * 1_000 + (micros ?? 0) / 1_000;
  const offMs = Math.round((before + Date.now()) / 2 - there);
  const seen = `${(Math.abs(offMs) / 1_000).toFixed(1)} s ${offMs < 0 ? "behind" : "ahead of"} Redis's`;
  return Math.abs(offMs) <= MAX_CLOCK_OFF_MS
    ? ok("clock", seen)
    : wrong("clock", seen, "sudo timedatectl set-ntp true, here and on Redis's machine");
}

async function ofWorkers(redis: Redis): Promise<Finding[]> {
  const workers = (await redis.smembers(keys.workers)).toSorted();
  if (workers.length === 0) return [note("workers", "none is registered", "npm start, or scripts/stack up -d")];
  return await Promise.all(
    workers.map(async (worker) => {
      const [host, version, docker] = await redis.hmget(keys.worker(worker), "host", "version", "docker");
      const seen = `${worker} on ${host}, version ${version}`;
      if (version !== VERSION)
        return wrong("worker", `${seen}, this is ${VERSION}`, `scripts/drain ${worker}, then start it anew from here`);
      return docker === "0"
        ? wrong("worker", `${seen}, cannot use Docker`, `npm run doctor on ${host}`)
        : ok("worker", seen);
    }),
  );
}

const within = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms / 1_000} s`)), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
