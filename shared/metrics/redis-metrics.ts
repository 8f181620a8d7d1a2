import type { Redis } from "ioredis";
import { Gauge, Histogram, type Registry } from "prom-client";
import { answerInTime } from "./answer-in-time.ts";

/** Asks Redis once a scrape, over the connection that calls use: whether it answers, and how soon. */
export class RedisMetrics {
  readonly #seconds;
  #probe: Promise<boolean> | undefined;

  constructor(
    registry: Registry,
    private readonly redis: Redis,
  ) {
    const isThere = (): Promise<boolean> => this.#askOnce();
    this.#seconds = new Histogram({
      name: "codegen_redis_round_trip_seconds",
      help: "Round trips of a PING to Redis, one a scrape",
      buckets: [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers: [registry],
      collect: async () => void (await isThere()),
    });
    new Gauge({
      name: "codegen_redis_up",
      help: "1 when Redis answered this scrape's PING within a second, else 0",
      registers: [registry],
      async collect() {
        this.set((await isThere()) ? 1 : 0);
      },
    });
  }

  /** Both metrics of a scrape share one question. */
  async #askOnce(): Promise<boolean> {
    this.#probe ??= this.#ask().finally(() => {
      this.#probe = undefined;
    });
    return await this.#probe;
  }

  async #ask(): Promise<boolean> {
    if (this.redis.status !== "ready") return false; // a command would wait for it
    const startedAt = performance.now();
    const isThere = (await answerInTime(this.redis.ping())) !== undefined;
    if (isThere) this.#seconds.observe((performance.now() - startedAt) / 1000);
    return isThere;
  }
}
