import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { createLogger } from "../shared/log.ts";
import { closeRedis, createRedis, whenReady } from "../shared/redis/connect.ts";
import { keys } from "../shared/redis/keys.ts";

/** Empties workers: `scripts/drain WORKER…`, or `scripts/drain` to see which there are. `REDIS_URL` says where. */
const POLL_MS = 500;

const list = async (redis: Redis): Promise<void> => {
  const workers = await redis.smembers(keys.workers);
  if (workers.length === 0) console.log("No worker is there.");
  for (const worker of workers.toSorted()) {
    const [host, version, drain] = await redis.hmget(keys.worker(worker), "host", "version", "drain");
    const sessions = await redis.scard(keys.workerSessions(worker));
    console.log(`${worker}  host ${host}  version ${version}  ${sessions} sessions${drain ? "  draining" : ""}`);
  }
};

const drain = async (redis: Redis, worker: string): Promise<boolean> => {
  if (!(await redis.sismember(keys.workers, worker))) {
    console.error(`There is no worker "${worker}"; scripts/drain without arguments shows which there are.`);
    return false;
  }
  await redis.hset(keys.worker(worker), "drain", 1);
  for (let last = -1; await redis.sismember(keys.workers, worker); await sleep(POLL_MS)) {
    const sessions = await redis.scard(keys.workerSessions(worker));
    if (sessions !== last) console.log(`${worker} drains: ${sessions} sessions left`);
    last = sessions;
  }
  console.log(`${worker} is empty and has ended.`);
  return true;
};

const redis = createRedis(process.env.REDIS_URL || "redis://127.0.0.1:6379", "patient", createLogger("drain", "warn"));
await whenReady(redis);
const workers = process.argv.slice(2);
if (workers.length === 0) await list(redis);
const drained = await Promise.all(workers.map((worker) => drain(redis, worker)));
await closeRedis(redis);
process.exit(drained.every(Boolean) ? 0 : 1);
