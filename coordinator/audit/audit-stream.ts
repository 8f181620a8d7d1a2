import type { Redis } from "ioredis";
import { keys } from "../../shared/redis/keys.ts";
import type { AuditEntry } from "./audit-entry.ts";

const GROUP = "postgres";
const CONSUMER = "keeper"; // one replica at a time, under a lock of its own
const FIELD = "e";

export interface Delivered {
  id: string;
  entry: AuditEntry;
}

/** The audit in Redis: the newest entries, up to a bound. Also what waits for a Postgres that is away. */
export class AuditStream {
  constructor(
    private readonly redis: Redis,
    private readonly maxEntries: number,
  ) {}

  async add(entries: readonly AuditEntry[]): Promise<void> {
    const adding = this.redis.pipeline();
    for (const entry of entries)
      adding.xadd(keys.audit, "MAXLEN", "~", this.maxEntries, "*", FIELD, JSON.stringify(entry));
    for (const [error] of (await adding.exec()) ?? []) if (error) throw error;
  }

  /** What no Postgres has yet, the oldest first: from the beginning of the stream when it is asked for the first time. */
  async next(count: number): Promise<Delivered[]> {
    const again = await this.#read("0", count); // delivered, and not acknowledged
    return again.length > 0 ? again : await this.#read(">", count);
  }

  async acknowledge(delivered: readonly Delivered[]): Promise<void> {
    if (delivered.length > 0) await this.redis.xack(keys.audit, GROUP, ...delivered.map(({ id }) => id));
  }

  /** Entries that went for newer ones before Postgres had them, since the stream began. */
  async dropped(): Promise<number> {
    const [stream, groups] = await Promise.all([
      this.redis.xinfo("STREAM", keys.audit).then(toFields, () => undefined),
      this.redis.xinfo("GROUPS", keys.audit).then(
        (found) => (found as unknown[][]).map(toFields),
        () => [],
      ),
    ]);
    const group = groups.find(({ name }) => name === GROUP);
    if (!group) await this.#createGroup(); // what goes from now on is counted
    if (!stream || !group || group["entries-read"] === null) return 0;
    return Math.max(0, Number(stream["entries-added"]) - Number(stream.length) - Number(group["entries-read"]));
  }

  async #createGroup(): Promise<void> {
    await this.redis.xgroup("CREATE", keys.audit, GROUP, "0", "MKSTREAM", "ENTRIESREAD", 0);
  }

  async #read(from: "0" | ">", count: number): Promise<Delivered[]> {
    const read = (): Promise<unknown> =>
      this.redis.xreadgroup("GROUP", GROUP, CONSUMER, "COUNT", count, "STREAMS", keys.audit, from);
    const found = (await read().catch(async (error: Error) => {
      if (!error.message.startsWith("NOGROUP")) throw error;
      await this.#createGroup();
      return await read();
    })) as [string, [string, string[] | null][]][] | null;
    const messages = found?.[0]?.[1] ?? [];
    const trimmed = messages.filter(([, fields]) => fields === null).map(([id]) => id);
    if (trimmed.length > 0) await this.redis.xack(keys.audit, GROUP, ...trimmed);
    return messages.flatMap(([id, fields]) => (fields ? [{ id, entry: JSON.parse(fields[1]!) as AuditEntry }] : []));
  }
}

const toFields = (flat: unknown): Record<string, unknown> => {
  const fields: Record<string, unknown> = {};
  const list = flat as unknown[];
  for (let i = 0; i + 1 < list.length; i += 2) fields[String(list[i])] = list[i + 1];
  return fields;
};
