import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { type CheckpointRecord, checkpointFields } from "../../shared/checkpoint-record.ts";
import { type CheckpointId, newCheckpointId, type SessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Lease, SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { WorkerMetrics } from "../metrics.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { CheckpointStore } from "./checkpoint-store.ts";
import { Lineage, type Written } from "./lineage.ts";
import type { Sink } from "./pack-writer.ts";
import { restoreCheckpoint, resumeLineage } from "./restore-checkpoint.ts";
import type { StoredQuota } from "./stored-quota.ts";
import { writeCheckpoint } from "./write-checkpoint.ts";

export interface PointerDeps {
  redis: Redis;
  scripts: SessionScripts;
  store: CheckpointStore;
  quota: StoredQuota;
  metrics: Pick<WorkerMetrics, "restore">;
  log: Logger;
}

/** A step to a newer checkpoint. */
export interface Advance {
  /** Empty for one that goes by itself. */
  name?: string;
  /** Number of the first call whose effects it takes back; 0 for none. */
  undone?: number;
  /** A record of its own even if nothing has changed. */
  isNewInAnyCase?: boolean;
  /** Somebody asked for it to be stored, and may be told that it is too much. Results rest on the others. */
  isOnQuota?: boolean;
  /** Number of the last mutating call that it covers. */
  covered: number;
  /** Processes run that may change files meanwhile. */
  isMoving: boolean;
}

export interface Taken {
  /** Undefined when nothing has changed. */
  record: CheckpointRecord | undefined;
  storedBytes: number;
}

/** What a session comes back from: what is new is stored, then the session points to it, under the lease. One step at a time. */
export class SessionPointer {
  #lineage = new Lineage();
  #hasPointer: boolean;

  constructor(
    private readonly deps: PointerDeps,
    /** `checkpoint`: of its record when it was taken over. */
    private readonly session: { id: SessionId; lease: Lease; principal: string; checkpoint: CheckpointId | "" },
  ) {
    this.#hasPointer = session.checkpoint !== "";
  }

  /** Makes the container's files what `record` holds; the next step goes on from there. @throws {ToolFailure} STORE_UNAVAILABLE */
  async restore(sandbox: Sandbox, { layers, objects, space }: CheckpointRecord): Promise<void> {
    const { metrics, store } = this.deps;
    const startedAt = performance.now();
    let result: "restored" | "failed" = "failed";
    try {
      if (space) await store.bring(space, objects);
      await restoreCheckpoint(sandbox, store, this.#lineage, layers);
      result = "restored";
    } finally {
      metrics.restore(result, performance.now() - startedAt);
    }
  }

  /** @throws {ToolFailure} STORE_UNAVAILABLE, QUOTA_EXCEEDED; FencedError when the session is no longer ours */
  async advance(sandbox: Sandbox, step: Advance): Promise<Taken> {
    const { store, quota } = this.deps;
    const { id: sid, principal, lease } = this.session;
    const id = newCheckpointId(sid) as CheckpointId;
    const write = (sink: Sink): Promise<Taken> => this.#write(id, sandbox, step, sink);
    return await (step.isOnQuota ? quota.within({ id, principal, epoch: lease.epoch }, store, write) : write(store));
  }

  async #write(
    id: CheckpointId,
    sandbox: Sandbox,
    { name = "", undone = 0, isNewInAnyCase = false, covered, isMoving }: Advance,
    store: Sink,
  ): Promise<Taken> {
    if (this.#hasPointer && this.#lineage.layers.length === 0) await this.#resume();
    const written = await writeCheckpoint(sandbox, store, this.#lineage);
    const isNew = isNewInAnyCase || written.storedBytes > 0 || !this.#hasPointer;
    const record = isNew ? toRecord(id, this.session, written, name, covered) : undefined;
    await this.#point(record, { covered, isMoving, undone });
    this.#lineage.advance(written);
    return { record, storedBytes: written.storedBytes };
  }

  /** Taken over with its container: what the owner before has stored need not be stored again. */
  async #resume(): Promise<void> {
    const { redis, store, log } = this.deps;
    const { id, checkpoint } = this.session;
    try {
      const newest = checkpoint && (await new Records(redis).newestCheckpoint({ id, checkpoint }));
      if (newest) this.#lineage = await resumeLineage(store, newest);
    } catch (err) {
      log.warn({ err, session: id }, "a session's files are stored anew: what was stored cannot be read");
    }
  }

  /** Ids stand in the indexes before their records do, so that the sweeper never misses one. */
  async #point(
    record: CheckpointRecord | undefined,
    to: { covered: number; isMoving: boolean; undone: number },
  ): Promise<void> {
    const { redis, scripts } = this.deps;
    const { id, lease, principal } = this.session;
    const fields = record ? checkpointFields(record) : {};
    const indexes = [keys.allCheckpoints, keys.principalCheckpoints(principal)];
    const indexed = record ? indexes.map((index) => redis.zadd(index, record.createdAt, record.id)) : [];
    const [gone] = await Promise.all([scripts.checkpoint(id, lease, record?.id, { ...to, fields }), ...indexed]);
    if (record) this.#hasPointer = true;
    if (gone.length > 0) for (const index of indexes) redis.zrem(index, ...gone).catch(() => {}); // the sweeper does it then
  }
}

const toRecord = (
  id: CheckpointId,
  { id: sessionId, principal }: { id: SessionId; principal: string },
  { layers, objects, generation, number, files, bytes, storedBytes }: Written,
  name: string,
  covered: number,
): CheckpointRecord => ({
  ...{ id, principal, sessionId, name, createdAt: Date.now(), files, bytes, storedBytes, layers, generation, covered },
  objects: [...objects],
  scan: String(number),
});
