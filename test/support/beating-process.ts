import { closeRedis, createRedis } from "../../shared/redis/connect.ts";
import { Beats } from "../../worker/lease/beats.ts";
import { silentLog } from "./silent-log.ts";

/** A process that only beats, until it is told to block its main loop for ever, or to stop. Arguments: Redis, worker, lease. */
const [redisUrl = "", worker = "", leaseMs = ""] = process.argv.slice(2);
const redis = createRedis(redisUrl, "patient", silentLog);
const beats = new Beats(
  { redis, load: () => 0, isAvailable: () => true, onBeat: () => {}, log: silentLog },
  { redisUrl, logLevel: "silent", worker, capacity: 1, beatMs: 50, leaseMs: Number(leaseMs) },
);
beats.start();
process.stdin.on("data", async (text) => {
  if (text.toString() === "block") for (;;);
  await beats.stop();
  await closeRedis(redis);
  process.stdin.destroy();
});
