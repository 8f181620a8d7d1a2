import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import { PeriodicTask } from "../../shared/periodic-task.ts";
import type { Service } from "../../shared/service.ts";

const EVERY_MS = 2_000;
const REFUSE_ABOVE = 0.8;

/**
 * Refuses new calls while Redis uses more than 80 % of its `maxmemory`, so that what runs can still be recorded.
 * Fails open: a Redis that sets no limit, or does not answer, refuses nothing here.
 */
export class MemoryGuard implements Service {
  #isFull = false;
  readonly #task: PeriodicTask;

  constructor(private readonly deps: { redis: Redis; log: Logger }) {
    this.#task = new PeriodicTask({
      log: deps.log,
      name: "memory guard",
      everyMs: EVERY_MS,
      pass: () => this.#check(),
    });
  }

  start(): void {
    this.#task.start();
  }

  async stop(): Promise<void> {
    await this.#task.stop();
  }

  /** @throws {ToolFailure} QUEUE_FULL */
  admit(): void {
    if (!this.#isFull) return;
    throw new ToolFailure("QUEUE_FULL", "The queue's memory is nearly full; the call was not taken", {
      hint: "Repeat it in a minute; the operator should raise Redis's maxmemory.",
    });
  }

  async #check(): Promise<void> {
    if (this.deps.redis.status !== "ready") return;
    const info = await this.deps.redis.info("memory");
    const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
    const limit = read("maxmemory");
    const isFull = limit > 0 && read("used_memory") > REFUSE_ABOVE * limit;
    if (isFull !== this.#isFull) this.deps.log.warn({ limit, isFull }, "Redis memory crossed 80 % of its limit");
    this.#isFull = isFull;
  }
}
