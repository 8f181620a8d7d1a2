import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { SessionId } from "../../shared/ids.ts";
import { PeriodicService } from "../../shared/periodic-service.ts";
import type { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { StoreIdentity } from "../../shared/redis/store-identity.ts";
import type { AuditMetrics } from "./audit-metrics.ts";
import type { AuditStore } from "./audit-store.ts";
import type { AuditStream } from "./audit-stream.ts";
import type { EndedCalls } from "./ended-calls.ts";

const EVERY_MS = 1_000;
const LOCK_MS = 10_000;
const BATCH = 500;
const BATCHES_A_PASS = 20;
const STORE_RETRY_MS = 5_000;
const RETENTION_EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Sessions that Postgres is to be told of while it is away; those beyond are told when they are used next. */
const SESSIONS_MAX = 10_000;

/**
 * Keeps the audit: moves what ended into the stream, and from there into Postgres where there is one. One replica does it
 * at a time, by a lock; two that do it for a moment do no harm, because entries are told apart by their ids.
 */
export class AuditKeeper extends PeriodicService {
  /** Sessions that Postgres is to be told of, and whether they were closed. */
  readonly #sessions = new Map<SessionId, boolean>();
  #wasKeeper = false;
  #isStoreAway = false;
  #storeAgainAt = 0;
  #retainedAt = Number.NEGATIVE_INFINITY;
  #dropped = 0;

  constructor(
    private readonly deps: {
      redis: Redis;
      records: Records;
      ended: EndedCalls;
      stream: AuditStream;
      store: AuditStore | undefined;
      metrics: AuditMetrics;
      log: Logger;
    },
    private readonly options: { replica: string; retentionDays: number },
  ) {
    super("audit keeper", EVERY_MS, deps.log);
  }

  override start(): void {
    void this.deps.ended.listen().catch((err: unknown) => this.log.warn({ err }, "the audit hears of nothing"));
    super.start();
  }

  override async stop(): Promise<void> {
    await super.stop();
    if (this.#wasKeeper) await this.#unlock().catch(() => {}); // it goes by itself
    await this.deps.store?.close();
  }

  protected override async pass(): Promise<void> {
    const { redis, ended } = this.deps;
    if (redis.status !== "ready") return;
    const isKeeper = await this.#lock();
    if (isKeeper && !this.#wasKeeper) this.log.info({ replica: this.options.replica }, "this replica keeps the audit");
    this.#wasKeeper = isKeeper;
    if (!isKeeper) return ended.forget();
    for (const [sid, isClosed] of await ended.move())
      if (this.#sessions.size < SESSIONS_MAX) this.#sessions.set(sid, isClosed || this.#sessions.get(sid) === true);
    if (this.deps.store && performance.now() >= this.#storeAgainAt) await this.#store(this.deps.store);
  }

  async #lock(): Promise<boolean> {
    const { redis } = this.deps;
    const { replica } = this.options;
    if ((await redis.get(keys.auditKeeper)) === replica) return (await redis.pexpire(keys.auditKeeper, LOCK_MS)) === 1;
    return (await redis.set(keys.auditKeeper, replica, "PX", LOCK_MS, "NX")) === "OK";
  }

  async #unlock(): Promise<void> {
    const { redis } = this.deps;
    if (redis.status === "ready" && (await redis.get(keys.auditKeeper)) === this.options.replica)
      await redis.del(keys.auditKeeper);
  }

  async #store(store: AuditStore): Promise<void> {
    try {
      await this.#tellDropped();
      await store.migrate();
      await this.#saveSessions(store);
      await this.#saveCalls(store);
      await this.#retain(store);
      if (this.#isStoreAway) this.log.info("Postgres is back; the audit has caught up, or is about to");
      this.#isStoreAway = false;
    } catch (err) {
      if (!this.#isStoreAway) this.log.error({ err }, "Postgres cannot be used; the audit waits in Redis");
      this.#isStoreAway = true;
      this.#storeAgainAt = performance.now() + STORE_RETRY_MS;
    }
    this.deps.metrics.isStoreThere = !this.#isStoreAway;
  }

  async #saveCalls(store: AuditStore): Promise<void> {
    const { stream, metrics } = this.deps;
    for (let batch = 0; batch < BATCHES_A_PASS; batch++) {
      const delivered = await stream.next(BATCH);
      if (delivered.length === 0) return;
      await store.addCalls(delivered.map(({ entry }) => entry));
      await stream.acknowledge(delivered);
      metrics.stored(delivered.length);
      await this.#lock();
    }
  }

  async #saveSessions(store: AuditStore): Promise<void> {
    const { redis, records } = this.deps;
    const space = await StoreIdentity.idIn(redis);
    for (const [sid, isClosed] of [...this.#sessions]) {
      const session = await records.openOrClosedSession(sid);
      const checkpoints = session ? await records.checkpoints(sid) : [];
      if (session) await store.saveSession(session, checkpoints, space);
      else if (isClosed) await store.closeSession(sid);
      this.#sessions.delete(sid);
    }
  }

  async #tellDropped(): Promise<void> {
    const dropped = await this.deps.stream.dropped();
    if (dropped > this.#dropped) {
      this.deps.metrics.dropped(dropped - this.#dropped);
      this.log.error(
        { dropped },
        "the audit's oldest entries were dropped: Postgres was away for longer than Redis holds",
      );
    }
    this.#dropped = dropped;
  }

  async #retain(store: AuditStore): Promise<void> {
    if (performance.now() - this.#retainedAt < RETENTION_EVERY_MS) return;
    this.#retainedAt = performance.now();
    const removed = await store.removeBefore(new Date(Date.now() - this.options.retentionDays * DAY_MS));
    if (removed > 0) this.log.info({ removed }, "calls older than AUDIT_RETENTION_DAYS were removed from the audit");
  }
}
