import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { type CallId, isSessionId, processIdOf, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { AuditEntry } from "./audit-entry.ts";
import type { AuditStream } from "./audit-stream.ts";

const CALLS_AT_ONCE = 200;
/** Lists that nobody was told of, because no keeper listened: they are looked for by walking through the keys. */
const WALK_EVERY_MS = 60_000;
const WALK_COUNT = 1_000;

type Fields = (string | null)[];

/**
 * Moves what ended from the sessions' own lists into the audit's stream. The scripts that end calls note them there, in the
 * same step: whoever crashes afterwards, the note stands.
 */
export class EndedCalls {
  readonly #changed = new Set<SessionId>();
  #walkedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: { redis: Redis; subscriber: Redis; stream: AuditStream; log: Logger }) {}

  async listen(): Promise<void> {
    const { subscriber } = this.deps;
    subscriber.on("message", (channel: string, sid: string) => {
      if (channel === keys.auditEnded) this.#changed.add(sid as SessionId);
    });
    await subscriber.subscribe(keys.auditEnded);
  }

  /** Another replica does it now. */
  forget(): void {
    this.#changed.clear();
    this.#walkedAt = Number.NEGATIVE_INFINITY;
  }

  /** @returns the sessions in which something ended, and whether it was the session itself */
  async move(): Promise<Map<SessionId, boolean>> {
    if (performance.now() - this.#walkedAt > WALK_EVERY_MS) {
      await this.#walk();
      this.#walkedAt = performance.now();
    }
    const moved = new Map<SessionId, boolean>();
    for (const sid of [...this.#changed]) {
      this.#changed.delete(sid);
      try {
        moved.set(sid, await this.#moveOf(sid));
      } catch (error) {
        this.#changed.add(sid);
        throw error;
      }
    }
    return moved;
  }

  async #walk(): Promise<void> {
    const { redis } = this.deps;
    let cursor = "0";
    do {
      const [next, found] = await redis.scan(cursor, "MATCH", "cg:{*}:audit", "COUNT", WALK_COUNT);
      cursor = next;
      for (const key of found) {
        const sid = key.slice("cg:{".length, -"}:audit".length);
        if (isSessionId(sid)) this.#changed.add(sid);
      }
    } while (cursor !== "0");
  }

  /** In the stream before it leaves the list: after a crash in between it comes twice, under the same id. */
  async #moveOf(sid: SessionId): Promise<boolean> {
    const { redis, stream } = this.deps;
    const list = keys.ended(sid);
    for (let isClosed = false; ; ) {
      const noted = await redis.lrange(list, 0, CALLS_AT_ONCE - 1);
      if (noted.length === 0) return isClosed;
      const notes = noted.map(toNote);
      const calls = notes.filter(({ id }) => id !== "");
      isClosed ||= calls.length < notes.length;
      const reading = redis.pipeline();
      for (const { id } of calls) {
        reading.hmget(
          keys.call(sid, id as CallId),
          ...["tool", "args_hash", "state", "outcome", "submitted_at", "started_at", "ended_at"],
        );
        reading.hmget(keys.process(sid, processIdOf(id as CallId)), "exit_code", "bytes");
      }
      const read = ((await reading.exec()) ?? []).map(([error, fields]) => {
        if (error) throw error;
        return fields as Fields;
      });
      const entries = calls.flatMap((note, i) => {
        const entry = toEntry(read[2 * i]!, read[2 * i + 1]!, { ...note, session: sid });
        return entry ? [entry] : [];
      });
      if (entries.length > 0) await stream.add(entries);
      await redis.ltrim(list, noted.length, -1);
    }
  }
}

const toNote = (text: string): Pick<AuditEntry, "id" | "worker" | "principal"> => {
  const [id = "", worker = "", ...principal] = text.split(" ");
  return { id, worker, principal: principal.join(" ") };
};

const toEntry = (
  [tool, argumentsHash, state, outcome, submittedAt, startedAt, endedAt]: Fields,
  [exitCode, bytes]: Fields,
  of: Pick<AuditEntry, "id" | "worker" | "session" | "principal">,
): AuditEntry | undefined => {
  if (!tool || !state) return undefined; // its record is gone: nobody kept the audit for an hour
  return {
    ...of,
    tool,
    state,
    argumentsHash: argumentsHash ?? "",
    outcome: state === "done" ? "OK" : codeOf(outcome ?? ""),
    exitCode: exitCode ? Number(exitCode) : null,
    outputBytes: Number(bytes ?? 0),
    submittedAt: Number(submittedAt),
    startedAt: startedAt ? Number(startedAt) : null,
    endedAt: Number(endedAt),
  };
};

const codeOf = (outcome: string): string => {
  try {
    return (JSON.parse(outcome) as { failure?: { code?: string } }).failure?.code ?? "UNKNOWN";
  } catch {
    return "UNKNOWN";
  }
};
