import type { Redis } from "ioredis";
import { answerInTime } from "../../shared/metrics/answer-in-time.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { OwnedSession } from "./owned-session.ts";

/** Calls of the given sessions, in one round trip. Undefined where Redis does not answer at once. */
export const countCalls = async (
  redis: Redis,
  sessions: readonly OwnedSession[],
): Promise<{ queued: number; running: number } | undefined> => {
  if (redis.status !== "ready") return undefined; // the question would wait for it
  const lists = sessions.flatMap(({ id }) => [keys.lane(id), keys.controls(id)]);
  const open = await answerInTime(Promise.all(lists.map((list) => redis.llen(list))));
  if (!open) return undefined;
  const sum = (counts: number[]): number => counts.reduce((total, count) => total + count, 0);
  const inLane = sum(sessions.map(({ callsInLane }) => callsInLane));
  return { queued: Math.max(0, sum(open) - inLane), running: sum(sessions.map(({ runningCalls }) => runningCalls)) };
};
