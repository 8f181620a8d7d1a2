import type { Redis } from "ioredis";
import type { SessionId } from "../ids.ts";
import { keys } from "./keys.ts";
import { defineScript } from "./script-runner.ts";

/** A session that was taken and not claimed within this time waits again: its worker died in between. */
const FORGET_TAKEN_MS = 10_000;

export type Taken =
  | { kind: "taken"; sessionId: SessionId; stillWaiting: number; waitedMs: number }
  /** Sessions wait, but another worker is freer and shall have them. */
  | { kind: "yield"; stillWaiting: number }
  | { kind: "none" };

/** Which sessions wait for a worker, principals in turn, by their weights. Lives in one hash slot; a repeated script does no harm: what was taken twice and not claimed is found stale. */
export class Placement {
  readonly #enqueue;
  readonly #take;
  readonly #overdue;
  readonly #beat;
  readonly #stale;

  constructor(private readonly redis: Redis) {
    this.#enqueue = defineScript(redis, "place_enqueue");
    this.#take = defineScript(redis, "place_take");
    this.#stale = defineScript(redis, "place_stale");
    this.#beat = defineScript(redis, "place_beat");
    this.#overdue = defineScript(redis, "place_overdue");
  }

  /**
   * @param how `isReturning`: it had a worker before, and lost it: it comes before new ones, and is never too many;
   * `weight`: the principal's turns against others' 1
   * @returns the position from 1; 0 when a worker has taken the session; -1 when `limit` sessions wait already
   */
  async enqueue(
    sid: SessionId,
    principal: string,
    limit: number,
    { isReturning = false, weight = 1 }: { isReturning?: boolean; weight?: number } = {},
  ): Promise<number> {
    const args = [sid, principal, limit, FORGET_TAKEN_MS, isReturning ? 1 : 0, weight];
    return (await this.#enqueue(keys.place, ...args)) as number;
  }

  /** @param load share of the worker's slots in use, 0 to 1 */
  async take(worker: string, load: number, slack: number, leaseMs: number): Promise<Taken> {
    const raw = (await this.#take(keys.place, worker, load, slack, leaseMs)) as [
      string,
      Taken["kind"],
      number,
      number?,
    ];
    const [sid, kind, stillWaiting, waitedMs = 0] = raw;
    if (kind === "taken") return { kind, sessionId: sid as SessionId, stillWaiting, waitedMs };
    return kind === "yield" ? { kind, stillWaiting } : { kind: "none" };
  }

  /** The claim succeeded, or found nothing to claim. */
  async settle(sid: SessionId): Promise<void> {
    await this.redis.hdel(`${keys.place}:taken`, sid);
  }

  /** Sessions that a worker took and did not claim: it died in between. Each is given to one caller only. */
  async takeStale(): Promise<SessionId[]> {
    return (await this.#stale(keys.place, FORGET_TAKEN_MS)) as SessionId[];
  }

  /** Takes out what waited longer than `ms`. Each session is given to one caller only. */
  async takeOverdue(ms: number): Promise<SessionId[]> {
    return (await this.#overdue(keys.place, ms)) as SessionId[];
  }

  async waiting(): Promise<number> {
    return await this.redis.zcard(`${keys.place}:waiting`);
  }

  async beat(worker: string, load: number): Promise<void> {
    await this.#beat(keys.place, worker, load);
  }

  /** Workers that beat within the lease. */
  async countWorkers(leaseMs: number): Promise<number> {
    const [seconds] = await this.redis.time();
    return await this.redis.zcount(`${keys.place}:beats`, Number(seconds) * 1_000 - leaseMs, "+inf");
  }

  /** A worker that stops no longer counts when loads are compared. */
  async forget(worker: string): Promise<void> {
    await this.redis.zrem(`${keys.place}:load`, worker);
    await this.redis.zrem(`${keys.place}:beats`, worker);
  }
}
