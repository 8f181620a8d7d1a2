import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { monotonicMs } from "../../shared/monotonic.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Placement } from "../../shared/redis/placement.ts";
import { VERSION } from "../../shared/version.ts";
import type { SharedState } from "./shared-state.ts";

/** Says that this incarnation lives and how full it is. A counter that stands still is how others see that it died. */
export class BeatSender {
  #beats = 0;

  constructor(
    private readonly deps: { redis: Redis; placement: Placement; state: SharedState },
    private readonly options: { worker: string; capacity: number; answerMs: number },
  ) {}

  /** @throws {Error} when Redis does not have it for sure; a connection that may be half open is made anew */
  async beat(): Promise<void> {
    const sentAtMs = monotonicMs();
    const over = new AbortController();
    const late = sleep(this.options.answerMs, "late" as const, { signal: over.signal }).catch(() => "late" as const);
    try {
      if ((await Promise.race([this.#send(), late])) === "late") {
        this.deps.redis.disconnect(true);
        throw new Error(`Redis did not answer a beat within ${this.options.answerMs} ms`);
      }
    } finally {
      over.abort();
    }
    this.deps.state.beatAtMs = sentAtMs;
  }

  async #send(): Promise<void> {
    const { redis, placement, state } = this.deps;
    const { worker, capacity } = this.options;
    const docker = state.isAvailable ? "ok" : "unavailable";
    const record = { beat: ++this.#beats, host: hostname(), version: VERSION, capacity, load: state.load, docker };
    await Promise.all([
      redis.hset(keys.worker(worker), record),
      redis.sadd(keys.workers, worker), // at every beat, like the next: whoever took us for dead has removed us
      redis.zrem(keys.endedWorkers, worker),
      docker === "ok" ? placement.beat(worker, state.load) : undefined,
    ]);
  }
}
