import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import { type CheckpointId, type SessionId, sessionOf } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { defineScript } from "../../shared/redis/script-runner.ts";
import type { Sink } from "./pack-writer.ts";

/** What others may write and end between a look at the records and the reservation; more is a store that is too busy. */
const MAX_LOOKS = 100;
/** Others write, and may give up: it may be worth another try then. */
const RETRY_AFTER_MS = 5_000;

type Reserved = ["ok"] | ["again"] | ["full", string, ...string[]];

/** Who writes a checkpoint that counts, and for whom. */
export interface Writing {
  id: CheckpointId;
  principal: string;
  epoch: number;
}

/**
 * Keeps what principals ask to be stored within their quota, however many of their checkpoints are written at once, on any
 * worker: each reserves its bytes in Redis before it writes them. A reservation is not leased: it counts until the
 * checkpoint's record stands, or its session is in another epoch, after which it never will. Fails closed.
 */
export class StoredQuota {
  readonly #reserve;
  readonly #release;
  readonly #records: Records;

  constructor(private readonly deps: { redis: Redis; log: Logger }) {
    this.#reserve = defineScript(deps.redis, "reserve_stored");
    this.#release = defineScript(deps.redis, "release_stored");
    this.#records = new Records(deps.redis);
  }

  /**
   * Lets `write` put objects as long as its principal may store them, and point to them; then they count by their record.
   * @throws {ToolFailure} QUOTA_EXCEEDED
   */
  async within<T>(writing: Writing, store: Sink, write: (store: Sink) => Promise<T>): Promise<T> {
    let [written, reserved] = [0, 0];
    const reserve = async (bytes: number): Promise<void> => {
      if (bytes <= reserved) return;
      reserved = bytes;
      await this.#take(writing, bytes);
    };
    const put = async (bytes: Buffer): Promise<string> => {
      written += bytes.length;
      await reserve(written);
      return await store.put(bytes);
    };
    try {
      return await write({ put, expect: reserve });
    } finally {
      if (reserved > 0) await this.#end(writing.principal, [writing.id]);
    }
  }

  async #take({ id, principal, epoch }: Writing, bytes: number): Promise<void> {
    const prefix = keys.quota(principal);
    for (let look = 0; look < MAX_LOOKS; look++) {
      const [most, ended] = await this.deps.redis.mget(`${prefix}:stored:most`, `${prefix}:stored:ended`);
      if (most === null) return;
      const recorded = await this.#records.checkpointsOf(principal);
      const stored = recorded.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
      const args = [id, sessionOf(id), epoch, bytes, ended ?? "0", stored];
      const [answer, limit, ...others] = (await this.#reserve(prefix, ...args)) as Reserved;
      if (answer === "ok") return;
      if (answer === "again") continue;
      const over = await this.#over(others, new Set(recorded.map((one) => one.id)));
      if (over.length === 0) throw full(Number(limit));
      await this.#end(principal, over);
    }
    throw new ToolFailure("STORE_UNAVAILABLE", "Too many of your checkpoints are written now", {
      hint: "Nothing was stored. Try again in a moment.",
    });
  }

  /** Reservations that their worker did not end: their record stands, or their session has left the epoch. */
  async #over(reservations: string[], recorded: ReadonlySet<CheckpointId>): Promise<CheckpointId[]> {
    const ids = reservations.filter((_, i) => i % 2 === 0) as CheckpointId[];
    const over = await Promise.all(
      ids.map(async (id, i) => {
        if (recorded.has(id)) return true;
        const [, sid, epoch] = reservations[2 * i + 1]!.split(" ");
        const [now, state] = await this.deps.redis.hmget(keys.session(sid as SessionId), "epoch", "state");
        return now !== epoch || state === "closed";
      }),
    );
    return ids.filter((_, i) => over[i]);
  }

  async #end(principal: string, ids: CheckpointId[]): Promise<void> {
    await this.#release(keys.quota(principal), ...ids).catch((err: unknown) =>
      this.deps.log.warn({ err }, "a reservation stays until somebody looks"),
    );
  }
}

const full = (most: number): ToolFailure =>
  new ToolFailure(
    "QUOTA_EXCEEDED",
    `With this checkpoint yours would take more than ${most} bytes, all that you may store`,
    {
      hint: "Nothing was stored. delete_checkpoint those that you no longer need (list_checkpoints shows them), then repeat it.",
      retryAfterMs: RETRY_AFTER_MS,
    },
  );
