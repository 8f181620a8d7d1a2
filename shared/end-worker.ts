import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { callQueueOf, queueOptions } from "./queues.ts";
import { keys } from "./redis/keys.ts";

/** How long it is known that a worker is over. What is found of it later goes by its age. */
const REMEMBER_MS = 86_400_000;

/** Removes the records of a worker that is over. Its sessions are others' by now: what else it left may go from now on. @returns whether nobody else did it before */
export const endWorker = async (worker: string, redis: Redis, queueRedis: Redis): Promise<boolean> => {
  const queue = new Queue(callQueueOf(worker), { ...queueOptions, connection: queueRedis });
  await queue.obliterate({ force: true });
  await queue.close();
  await redis.zadd(keys.endedWorkers, Date.now(), worker);
  await redis.zremrangebyscore(keys.endedWorkers, "-inf", Date.now() - REMEMBER_MS);
  const isOurs = (await redis.srem(keys.workers, worker)) === 1;
  await redis.del(keys.worker(worker));
  await redis.del(keys.workerSessions(worker));
  return isOurs;
};
