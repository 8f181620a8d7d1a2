import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { PeriodicService } from "../../shared/periodic-service.ts";
import { keys } from "../../shared/redis/keys.ts";

const EVERY_MS = 1_000;

/** Looks whether somebody asked in the records that this worker drains (`scripts/drain`), wherever it runs. */
export class DrainWatch extends PeriodicService {
  constructor(
    private readonly deps: { redis: Redis; onAsked: () => void; log: Logger },
    private readonly worker: string,
  ) {
    super("drain watch", EVERY_MS, deps.log);
  }

  protected override async pass(): Promise<void> {
    const { redis, onAsked } = this.deps;
    if (redis.status === "ready" && (await redis.hexists(keys.worker(this.worker), "drain"))) onAsked();
  }
}
