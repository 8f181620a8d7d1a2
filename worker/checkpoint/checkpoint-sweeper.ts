import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { type CheckpointId, sessionOf } from "../../shared/ids.ts";
import { PeriodicService } from "../../shared/periodic-service.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { StoreIdentity } from "../../shared/redis/store-identity.ts";
import type { CheckpointStore } from "./checkpoint-store.ts";

const BATCH = 200;
/** Of one pass; the next goes on. */
const MAX_DELETED = 10_000;

/**
 * Deletes objects that no checkpoint needs. Fails closed: only on the word of the Redis that the objects were written
 * under, only what is older than the grace (it may be part of a checkpoint that is being written), and only what two
 * passes found. One worker at a time does it.
 */
export class CheckpointSweeper extends PeriodicService {
  /** Unneeded in the last pass, with the time they were written. */
  #suspects = new Map<string, number>();

  constructor(
    private readonly deps: { redis: Redis; identity: StoreIdentity; store: CheckpointStore; log: Logger },
    private readonly options: { worker: string; everyMs: number; graceMs: number },
  ) {
    super("checkpoint sweeper", options.everyMs, deps.log);
  }

  protected override async pass(signal: AbortSignal): Promise<void> {
    const { redis } = this.deps;
    const { worker, everyMs } = this.options;
    const sweeper = await redis.get(keys.checkpointSweep);
    if (sweeper === null) await redis.set(keys.checkpointSweep, worker, "PX", 3 * everyMs, "NX");
    else if (sweeper === worker) await redis.pexpire(keys.checkpointSweep, 3 * everyMs);
    if ((await redis.get(keys.checkpointSweep)) === worker) await this.sweep(signal);
  }

  /** @returns how many objects it deleted */
  async sweep(signal?: AbortSignal): Promise<number> {
    const { identity, store, log } = this.deps;
    if (!(await identity.isConfirmed())) return 0;
    const before = Date.now() - this.options.graceMs;
    const old: { name: string; object: string | undefined; writtenAt: number }[] = [];
    for await (const found of store.list()) {
      signal?.throwIfAborted();
      if (found.writtenAt < before) old.push(found);
    }
    const needed = await this.#needed(before, signal); // after the list: a pointer that came meanwhile counts
    const unneeded = old.filter(({ object }) => object === undefined || !needed.has(object));
    const sure = unneeded.filter(({ name, writtenAt }) => this.#suspects.get(name) === writtenAt).slice(0, MAX_DELETED);
    this.#suspects = new Map(unneeded.map(({ name, writtenAt }) => [name, writtenAt]));
    if (sure.length === 0 || !(await identity.isConfirmed())) return 0;
    await store.delete(sure.map(({ name }) => name));
    for (const { name } of sure) this.#suspects.delete(name);
    log.info({ objects: sure.length }, "objects that no checkpoint needs were deleted");
    return sure.length;
  }

  async #needed(before: number, signal?: AbortSignal): Promise<Set<string>> {
    const { redis } = this.deps;
    const needed = new Set<string>();
    for (let from = 0; ; from += BATCH) {
      signal?.throwIfAborted();
      const ids = (await redis.zrange(keys.allCheckpoints, `${from}`, `${from + BATCH - 1}`)) as CheckpointId[];
      if (ids.length === 0) return needed;
      const gone: string[] = [];
      for (const id of ids) {
        const objects = await redis.hget(keys.checkpoint(sessionOf(id), id), "objects");
        if (objects === null && Number(await redis.zscore(keys.allCheckpoints, id)) < before) gone.push(id);
        for (const object of objects?.split(" ") ?? []) needed.add(object);
      }
      if (gone.length > 0) await redis.zrem(keys.allCheckpoints, ...gone);
      from -= gone.length;
    }
  }
}
