import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { endWorker } from "../shared/end-worker.ts";
import type { SessionId } from "../shared/ids.ts";
import { LOST, lostNotice } from "../shared/lost-session.ts";
import { ObservedBeats } from "../shared/observed-beats.ts";
import { PeriodicService } from "../shared/periodic-service.ts";
import { Records } from "../shared/records.ts";
import { keys } from "../shared/redis/keys.ts";
import type { SessionScripts } from "../shared/redis/session-scripts.ts";
import type { SessionOpener } from "./calls/session-opener.ts";

/** A death is noticed up to two of these after its lease. */
const EVERY_MS = 250;

/**
 * Takes the sessions of dead workers back and puts them in line again. A worker is dead when its beat stood still for a
 * whole lease in which Redis answered every pass here: an outage of Redis, or a stop of this process, reaps nobody.
 * Every coordinator runs it; each change is compare-and-set, so that two of them do no harm.
 */
export class WorkerReaper extends PeriodicService {
  readonly #observed = new ObservedBeats();
  readonly #records: Records;
  #silent: string[] | undefined;

  constructor(
    private readonly deps: {
      redis: Redis;
      queueRedis: Redis;
      scripts: SessionScripts;
      opener: SessionOpener;
      metrics: { workerLost(): void };
      log: Logger;
    },
    private readonly leaseMs: number,
  ) {
    super("worker reaper", EVERY_MS, deps.log);
    this.#records = new Records(deps.redis);
  }

  /** Workers whose beat stood still for half a lease at the last pass; undefined when that was long ago. */
  get silentWorkers(): readonly string[] | undefined {
    return this.#observed.isOutdated ? undefined : this.#silent;
  }

  protected override async pass(): Promise<void> {
    const { redis } = this.deps;
    const workers = await redis.smembers(keys.workers);
    const states = await Promise.all(workers.map((worker) => redis.hmget(keys.worker(worker), "beat", "lease_ms")));
    const beats = states.map(([beat]) => beat ?? "");
    const leases = states.map(([, leaseMs]) => Number(leaseMs ?? this.leaseMs)); // who handed over says how long that may take
    const stillMs = this.#observed.see(workers, beats);
    const dead = workers.filter((_, i) => stillMs[i]! >= leases[i]!);
    this.#silent = workers.filter((_, i) => stillMs[i]! >= this.leaseMs / 2);
    for (const worker of dead) await this.#reap(worker);
  }

  async #beatOf(worker: string): Promise<string> {
    return (await this.deps.redis.hget(keys.worker(worker), "beat")) ?? "";
  }

  async #reap(worker: string): Promise<void> {
    const { redis, queueRedis, metrics, log } = this.deps;
    const beat = this.#observed.of(worker);
    const sessions = (await redis.smembers(keys.workerSessions(worker))) as SessionId[];
    log.warn({ worker, sessions: sessions.length }, "a worker died; its sessions are placed again");
    for (const sid of sessions) {
      if ((await this.#beatOf(worker)) !== beat) return; // it is back, and keeps what it still has
      await this.#takeBack(sid, worker);
    }
    if (await endWorker(worker, redis, queueRedis)) metrics.workerLost();
    this.#observed.forget(worker);
  }

  async #takeBack(sid: SessionId, worker: string): Promise<void> {
    const { scripts, opener } = this.deps;
    const session = await this.#records.session(sid);
    const isUnplaced = session?.owner === "" && session.state === "queued"; // whoever took it back died before this
    if (isUnplaced) await opener.enqueue(sid, session.principal, session.epoch);
    if (session?.owner !== worker) return;
    if (session.state === "closing")
      return await opener.refuse(sid, session.principal, "The session was closing", session.epoch);
    const to = { owner: "", state: "queued" as const, notice: lostNotice("its worker died"), ...LOST };
    if ((await scripts.lose(sid, session.epoch, to)) > 0) await opener.enqueue(sid, session.principal, session.epoch);
  }
}
