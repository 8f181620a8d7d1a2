import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { keys } from "../../shared/redis/keys.ts";
import type { OwnedSession } from "./owned-session.ts";

const ANSWER_MS = 1_000;

/** Calls of the given sessions, in one round trip. Undefined where Redis does not answer at once. */
export const countCalls = async (
  redis: Redis,
  sessions: readonly OwnedSession[],
): Promise<{ queued: number; running: number } | undefined> => {
  if (redis.status !== "ready") return undefined; // the question would wait for it
  const lists = sessions.flatMap(({ id }) => [keys.lane(id), keys.controls(id)]);
  const lengths = Promise.all(lists.map((list) => redis.llen(list))).catch(() => undefined);
  const open = await Promise.race([lengths, sleep(ANSWER_MS, undefined, { ref: false })]);
  if (!open) return undefined;
  const sum = (counts: number[]): number => counts.reduce((total, count) => total + count, 0);
  const inLane = sum(sessions.map(({ callsInLane }) => callsInLane));
  return { queued: Math.max(0, sum(open) - inLane), running: sum(sessions.map(({ runningCalls }) => runningCalls)) };
};
