import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import { PeriodicService } from "../../shared/periodic-service.ts";

const EVERY_MS = 2_000;
const REFUSE_ABOVE = 0.8;
const KEEPS_ALL = "noeviction";

/**
 * Refuses new calls while Redis uses more than 80 % of its `maxmemory`, so that what runs can still be recorded, and
 * while it would evict records to make room: then nothing that an agent is told would last.
 * Fails open: a Redis that sets no limit, or does not answer, refuses nothing here.
 */
export class MemoryGuard extends PeriodicService {
  #isFull = false;
  #share: number | undefined;
  /** Its `maxmemory-policy`, where that one evicts. */
  #evictsBy = "";

  constructor(
    private readonly redis: Redis,
    log: Logger,
  ) {
    super("memory guard", EVERY_MS, log);
  }

  get evicts(): boolean {
    return this.#evictsBy !== "";
  }

  /** Share of its `maxmemory` that Redis used at the last look; undefined where it sets none. */
  get usedShare(): number | undefined {
    return this.#share;
  }

  /** @throws {ToolFailure} QUEUE_FULL, STORE_UNAVAILABLE */
  admit(): void {
    if (this.evicts) {
      throw new ToolFailure(
        "STORE_UNAVAILABLE",
        `Redis may evict records (${this.#evictsBy}); the call was not taken`,
        {
          hint: "The operator must set Redis's maxmemory-policy to noeviction.",
        },
      );
    }
    if (!this.#isFull) return;
    throw new ToolFailure("QUEUE_FULL", "The queue's memory is nearly full; the call was not taken", {
      hint: "Repeat it in a minute; the operator should raise Redis's maxmemory.",
    });
  }

  protected override async pass(): Promise<void> {
    if (this.redis.status !== "ready") return;
    const info = await this.redis.info("memory");
    const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
    const limit = read("maxmemory");
    this.#share = limit > 0 ? read("used_memory") / limit : undefined;
    const isFull = (this.#share ?? 0) > REFUSE_ABOVE;
    if (isFull !== this.#isFull) this.log.warn({ limit, isFull }, "Redis memory crossed 80 % of its limit");
    this.#isFull = isFull;
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? KEEPS_ALL;
    const evictsBy = limit > 0 && policy !== KEEPS_ALL ? policy : "";
    if (evictsBy !== this.#evictsBy)
      this.log[evictsBy ? "error" : "info"](
        { policy },
        evictsBy
          ? "Redis evicts records: no calls are taken; set maxmemory-policy to noeviction"
          : "Redis keeps records again",
      );
    this.#evictsBy = evictsBy;
  }
}
