import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { isSessionId, type SessionId } from "../shared/ids.ts";
import { PeriodicService } from "../shared/periodic-service.ts";
import { incarnationOfQueueKey } from "../shared/queues.ts";
import { keyOwner, keys } from "../shared/redis/keys.ts";
import type { SessionOpener } from "./calls/session-opener.ts";

/** A step every second: a hundred thousand keys are looked through in some minutes, and nobody feels it. */
const EVERY_MS = 1_000;
const KEYS_PER_STEP = 500;
/** An entry in an index may stand there before its session does. */
const INDEX_GRACE_MS = 60_000;
const SUSPECTS_MAX = 10_000;

/**
 * Walks through Redis step by step and mends what crashes left half done: a worker's keys that no registered worker has, a
 * session that waits in no line, an index entry or a key of a session that is gone, but not its checkpoints, nor what the audit is to
 * be told: they outlive it, and those that are to go have a time to live. Every coordinator runs it; each change is safe to repeat.
 */
export class RecordSweeper extends PeriodicService {
  #cursor = "0";
  #walk = 0;
  /** Keys of sessions without a record, and the walk that found them first. */
  readonly #suspects = new Map<string, number>();

  constructor(
    private readonly deps: { redis: Redis; opener: SessionOpener; log: Logger },
    everyMs = EVERY_MS,
  ) {
    super("record sweeper", everyMs, deps.log);
  }

  protected override async pass(): Promise<void> {
    const { redis } = this.deps;
    if (redis.status !== "ready") return;
    const [cursor, found] = await redis.scan(this.#cursor, "COUNT", KEYS_PER_STEP);
    this.#cursor = cursor;
    if (cursor === "0") this.#walk++;
    await this.#registerWorkers(found);
    const isOutliving = (key: string): boolean => keyOwner.isCheckpoint(key) || keyOwner.isEndedList(key);
    const sessions = found.filter((key) => isSessionId(keyOwner.session(key)) && !isOutliving(key));
    await this.#mendSessions(sessions);
    for (const key of found) if (keyOwner.isPrincipalIndex(key)) await this.#pruneIndex(key);
  }

  /** Keys of a worker that is not registered: it is registered, does not beat, and the reaper ends it as any other. */
  async #registerWorkers(found: string[]): Promise<void> {
    const workers = new Set(found.map((key) => keyOwner.worker(key) || incarnationOfQueueKey(key)).filter(Boolean));
    if (workers.size > 0) await this.deps.redis.sadd(keys.workers, ...workers);
  }

  async #mendSessions(found: string[]): Promise<void> {
    const { redis, opener } = this.deps;
    // Most keys of a step belong to few sessions: each of these is read once, all of them together.
    const ids = [...new Set(found.map((key) => keyOwner.session(key) as SessionId))];
    const read = (sid: SessionId) => redis.hmget(keys.session(sid), "state", "owner", "principal", "epoch");
    const records = new Map(await Promise.all(ids.map(async (sid) => [sid, await read(sid)] as const)));
    for (const key of found) {
      const sid = keyOwner.session(key) as SessionId;
      const [state, owner, principal, epoch] = records.get(sid)!;
      const isMain = key === keys.session(sid);
      if (state) {
        this.#suspects.delete(key);
        if (isMain && state === "queued") await opener.enqueue(sid, principal ?? "", Number(epoch)); // in line already: nothing changes
        if (isMain && owner) {
          await redis.sadd(keys.workerSessions(owner), sid);
          await redis.sadd(keys.workers, owner);
        }
      } else if ((this.#suspects.get(key) ?? this.#walk) < this.#walk) {
        await redis.unlink(key);
        this.#suspects.delete(key);
      } else if (this.#suspects.size < SUSPECTS_MAX) {
        this.#suspects.set(key, this.#suspects.get(key) ?? this.#walk);
      }
    }
  }

  async #pruneIndex(key: string): Promise<void> {
    const { redis } = this.deps;
    if ((await redis.type(key)) !== "zset") return; // somebody's idempotency key may look like an index
    const entries = (await redis.zrangebyscore(key, "-inf", Date.now() - INDEX_GRACE_MS)) as SessionId[];
    for (const sid of entries) {
      const state = await redis.hget(keys.session(sid), "state");
      if (!state || state === "closed") await redis.zrem(key, sid);
    }
  }
}
