import { Worker as Thread } from "node:worker_threads";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { keys } from "../../shared/redis/keys.ts";
import type { Service } from "../../shared/service.ts";
import type { Vouch } from "../sandbox/vouch.ts";
import { leaseTimes } from "./lease-times.ts";
import { SharedState } from "./shared-state.ts";

const TICK_MS = 500;
/** The thread holds a connection and a timer. */
const THREAD_HEAP_MB = 32;

export interface BeatsOptions {
  redisUrl: string;
  logLevel: string;
  worker: string;
  capacity: number;
  beatMs: number;
  leaseMs: number;
}
export type BeatThreadData = BeatsOptions & { buffer: SharedArrayBuffer };

/**
 * The worker's beat, sent from a thread of its own: a main loop that is busy for a while costs no session, one that never
 * turns again ends the process. What the last beat vouches for is known here without asking anybody.
 */
export class Beats implements Service {
  readonly #state = new SharedState();
  #thread: Thread | undefined;
  #ticking: NodeJS.Timeout | undefined;

  constructor(
    private readonly deps: {
      redis: Redis;
      load: () => number;
      isAvailable: () => boolean;
      /** Redis has a beat that was sent at this time, see `monotonicMs`. */
      onBeat: (sentAtMs: number) => void;
      log: Logger;
    },
    private readonly options: BeatsOptions,
  ) {}

  /** Idempotent. Returns at once: Redis may be away, and until the first beat nothing may start. */
  start(): void {
    if (this.#thread) return;
    const workerData: BeatThreadData = { ...this.options, buffer: this.#state.buffer };
    const resourceLimits = { maxOldGenerationSizeMb: THREAD_HEAP_MB };
    const thread = new Thread(new URL("./beat-thread.js", import.meta.url), { workerData, resourceLimits });
    this.#thread = thread;
    this.#tick();
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    thread.on("message", (sentAtMs: number) => this.deps.onBeat(sentAtMs));
    thread.on("error", (err) => {
      this.deps.log.fatal({ err }, "the beat's thread failed; this worker ends");
      process.exit(1);
    });
    thread.unref();
  }

  /** Says that this incarnation ended cleanly: nobody has to find it dead. */
  async stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    clearInterval(this.#ticking);
    if (!thread) return;
    await thread.terminate();
    const { redis } = this.deps;
    const { worker } = this.options;
    await redis.zadd(keys.endedWorkers, Date.now(), worker);
    await redis.srem(keys.workers, worker);
    await redis.del(keys.worker(worker));
    await redis.del(keys.workerSessions(worker));
  }

  /**
   * Beats no more, and asks that nobody takes this incarnation for dead before `leaseMs` is over.
   * @returns what that is good for
   */
  async leave(leaseMs: number): Promise<Vouch> {
    const thread = this.#thread;
    this.#thread = undefined;
    clearInterval(this.#ticking);
    await thread?.terminate();
    await this.deps.redis.hset(keys.worker(this.options.worker), "lease_ms", leaseMs);
    const { beatAtMs } = this.#state;
    return { startsUntilMs: beatAtMs, runsUntilMs: beatAtMs + leaseTimes(leaseMs).runsForMs };
  }

  /** One beat now: what others see of this worker has changed. */
  beatNow(): void {
    this.#tick();
    this.#thread?.postMessage("beat");
  }

  get sinceBeatMs(): number {
    return this.#state.sinceBeatMs;
  }

  /** False: others may soon take our sessions for lost, so nothing new starts. */
  get mayStart(): boolean {
    return this.sinceBeatMs < leaseTimes(this.options.leaseMs).startsForMs;
  }

  /** What the last beat is good for. */
  get vouch(): Vouch {
    const { startsForMs, runsForMs } = leaseTimes(this.options.leaseMs);
    const { beatAtMs } = this.#state;
    return { startsUntilMs: beatAtMs + startsForMs, runsUntilMs: beatAtMs + runsForMs };
  }

  #tick(): void {
    this.#state.tick();
    this.#state.load = this.deps.load();
    this.#state.isAvailable = this.deps.isAvailable();
  }
}
