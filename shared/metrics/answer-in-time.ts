import { setTimeout as sleep } from "node:timers/promises";

/** A scrape waits no longer for anybody: Prometheus gives up after some seconds, and would then know nothing of us. */
const ANSWER_MS = 1_000;

/** What a scrape asked for; undefined when it failed, or did not come soon enough. */
export const answerInTime = async <T>(answer: Promise<T>): Promise<T | undefined> => {
  const isOver = new AbortController();
  const late = sleep(ANSWER_MS, undefined, { ref: false, signal: isOver.signal }).catch(() => undefined);
  try {
    return await Promise.race([answer.catch(() => undefined), late]);
  } finally {
    isOver.abort();
  }
};
