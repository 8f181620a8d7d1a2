import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { PeriodicTask } from "../../shared/periodic-task.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Placement } from "../../shared/redis/placement.ts";
import type { Service } from "../../shared/service.ts";
import type { SessionOpener } from "./session-opener.ts";

const EVERY_MS = 500;

/** Ends the wait of sessions that no worker took in time. Every coordinator runs it; each session is given to one. */
export class PlacementKeeper implements Service {
  readonly #task: PeriodicTask;

  constructor(
    private readonly deps: { redis: Redis; placement: Placement; opener: SessionOpener; log: Logger },
    private readonly timeoutMs: number,
  ) {
    this.#task = new PeriodicTask({
      log: deps.log,
      name: "placement keeper",
      everyMs: EVERY_MS,
      pass: () => this.#pass(),
    });
  }

  start(): void {
    this.#task.start();
  }

  async stop(): Promise<void> {
    await this.#task.stop();
  }

  async #pass(): Promise<void> {
    const { redis, placement, opener } = this.deps;
    if (redis.status !== "ready") return;
    for (const sid of await placement.takeOverdue(this.timeoutMs)) {
      const [principal, epoch] = await redis.hmget(keys.session(sid), "principal", "epoch");
      const why = `No worker took the session within ${this.timeoutMs / 1000} s`;
      await opener.refuse(sid, principal ?? "", why, Number(epoch ?? 0));
    }
  }
}
