import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { ObservedBeats } from "../../shared/observed-beats.ts";
import { PeriodicService } from "../../shared/periodic-service.ts";
import { keys } from "../../shared/redis/keys.ts";

const EVERY_MS = 500;
/** Of a lease: a worker whose beat stood still for so long will most likely be taken for dead at its end. */
const SUSPECT_SHARE = 0.5;

/**
 * Sees another worker fall silent some seconds before it is taken for dead, and has containers made for this worker's
 * share of its sessions: they then wait for their files only. It decides nothing: a worker that beats again costs the
 * others some containers that nobody needed.
 */
export class HeirWatch extends PeriodicService {
  readonly #observed = new ObservedBeats();
  #expected = 0;
  #expectedUntil = 0;

  constructor(
    private readonly deps: {
      redis: Redis;
      /** Sessions that this worker could still take. */
      freeSlots: () => number;
      /** Containers to have at hand, beyond those that always are. */
      expect: (count: number) => void;
      log: Logger;
    },
    private readonly options: { worker: string; leaseMs: number },
  ) {
    super("heir watch", EVERY_MS, deps.log);
  }

  protected override async pass(): Promise<void> {
    const { redis, freeSlots } = this.deps;
    const { worker: own, leaseMs } = this.options;
    const workers = (await redis.smembers(keys.workers)).filter((worker) => worker !== own);
    const states = await Promise.all(workers.map((worker) => redis.hmget(keys.worker(worker), "beat", "lease_ms")));
    const now = performance.now();
    const beats = states.map(([beat]) => beat ?? "");
    const silentMs = this.#observed.see(workers, beats, now);
    const staying = workers.flatMap((worker, i) => (states[i]?.[1] ? [] : [{ worker, silentMs: silentMs[i]! }]));
    const silent = staying.flatMap((one) => (one.silentMs >= leaseMs * SUSPECT_SHARE ? [one.worker] : []));
    const counts = await Promise.all(silent.map((worker) => redis.scard(keys.workerSessions(worker))));
    const orphans = counts.reduce((sum, count) => sum + count, 0);
    const heirs = staying.length - silent.length + 1;
    this.#expect(Math.min(Math.ceil(orphans / heirs), Math.max(0, freeSlots())), now);
  }

  /** Less is expected only a lease later: the sessions of a worker that was just taken for dead are being placed. */
  #expect(count: number, now: number): void {
    if (count > 0 && count >= this.#expected) this.#expectedUntil = now + this.options.leaseMs;
    if (count === this.#expected || (count < this.#expected && now < this.#expectedUntil)) return;
    this.#expected = count;
    this.deps.expect(count);
  }
}
