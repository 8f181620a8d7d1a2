import { hostname } from "node:os";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { PeriodicService } from "../shared/periodic-service.ts";
import { keys } from "../shared/redis/keys.ts";
import type { Placement } from "../shared/redis/placement.ts";
import { VERSION } from "../shared/version.ts";

/** Says every beat that this incarnation lives and how full it is. A counter that stands still is how others see it died. */
export class Heartbeat extends PeriodicService {
  #beats = 0;

  constructor(
    private readonly deps: {
      redis: Redis;
      placement: Placement;
      load: () => number;
      isAvailable: () => boolean;
      log: Logger;
    },
    private readonly options: { worker: string; capacity: number; beatMs: number },
  ) {
    super("heartbeat", options.beatMs, deps.log);
  }

  /** Says that this incarnation ended cleanly: nobody has to find it dead. */
  override async stop(): Promise<void> {
    await super.stop();
    const { redis } = this.deps;
    const { worker } = this.options;
    await redis.zadd(keys.endedWorkers, Date.now(), worker);
    await redis.srem(keys.workers, worker);
    await redis.del(keys.worker(worker), keys.workerSessions(worker));
  }

  protected override async pass(): Promise<void> {
    await this.beat();
  }

  /** One beat now: what others see of this worker has changed. */
  async beat(): Promise<void> {
    const { redis, placement, load, isAvailable } = this.deps;
    const { worker, capacity } = this.options;
    const docker = isAvailable() ? "ok" : "unavailable";
    const record = { beat: ++this.#beats, host: hostname(), version: VERSION, capacity, load: load(), docker };
    await redis.hset(keys.worker(worker), record);
    await redis.sadd(keys.workers, worker); // at every beat: whoever took us for dead has removed us
    if (docker === "ok") await placement.beat(worker, load());
  }
}
