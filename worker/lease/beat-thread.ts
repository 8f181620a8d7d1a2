import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { createLogger } from "../../shared/log.ts";
import { createRedis, whenReady } from "../../shared/redis/connect.ts";
import { Placement } from "../../shared/redis/placement.ts";
import { BeatSender } from "./beat-sender.ts";
import type { BeatThreadData } from "./beats.ts";
import { leaseTimes } from "./lease-times.ts";
import { SharedState } from "./shared-state.ts";
import { StallWatch } from "./stall-watch.ts";

const RETRY_MS = 200;

/** The beat's thread: beats whatever the main loop does, until that loop turns no more. */
const main = async ({ buffer, redisUrl, logLevel, worker, capacity, beatMs, leaseMs }: BeatThreadData) => {
  const log = createLogger("worker", logLevel).child({ thread: "beat" });
  const state = new SharedState(buffer);
  const { answerMs, stalledMs } = leaseTimes(leaseMs);
  const redis = createRedis(redisUrl, "beat", log);
  const sender = new BeatSender({ redis, placement: new Placement(redis), state }, { worker, capacity, answerMs });
  const stall = new StallWatch(state, stalledMs);
  let wake = new AbortController();
  parentPort?.on("message", () => wake.abort());
  await whenReady(redis);
  for (;;) {
    if (stall.isStalled()) {
      log.fatal({ stalledMs }, "the main loop turns no more; this worker ends");
      process.kill(process.pid, "SIGKILL"); // nothing gentler gets through to a loop that does not turn
    }
    wake = new AbortController();
    const hasBeaten = await sender.beat().then(
      () => true,
      (err: unknown) => log.debug({ err }, "a beat failed") ?? false,
    );
    if (hasBeaten) parentPort?.postMessage(state.beatAtMs);
    const pauseMs = hasBeaten ? beatMs : Math.min(RETRY_MS, beatMs);
    await sleep(pauseMs, undefined, { signal: wake.signal }).catch(() => {}); // woken: a beat is wanted now
  }
};

void main(workerData as BeatThreadData);
