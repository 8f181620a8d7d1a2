import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { CheckpointRecord } from "../../shared/checkpoint-record.ts";
import { StoreIdentity } from "../../shared/redis/store-identity.ts";
import type { AuditEntry } from "./audit-entry.ts";
import type { AuditStore, KeptSession } from "./audit-store.ts";

/** Who asks for what is gone waits for Postgres no longer than this, and not at all for a while after it failed. */
const ANSWER_MS = 1_000;
const RETRY_MS = 5_000;

type Structured = Record<string, unknown>;

/** What Postgres remembers of sessions that Redis no longer knows. Without it, or while it is away: nothing. */
export class Past {
  #againAt = 0;

  constructor(private readonly deps: { redis: Redis; store: AuditStore | undefined; log: Logger }) {}

  /** `closed`, or `lost` where the records went while it was open. */
  async session(principal: string, id: string): Promise<Structured | undefined> {
    const found = await this.#ask((store) => store.session(principal, id));
    return found ? describe(found) : undefined;
  }

  /** Sessions that were open and that the records do not know: `isKnown` tells which they do. */
  async lostSessions(
    principal: string,
    isKnown: (id: string) => Promise<boolean>,
    limit: number,
  ): Promise<Structured[]> {
    const open = (await this.#ask((store) => store.openSessions(principal, limit))) ?? [];
    const known = await Promise.all(open.map(({ id }) => isKnown(id)));
    return open.filter((_, i) => !known[i]).map(describe);
  }

  /** Of a session, or all that the principal made; the newest first. */
  async calls(principal: string, session: string | undefined, limit: number): Promise<Structured[]> {
    return ((await this.#ask((store) => store.calls(principal, session, limit))) ?? []).map(describeCall);
  }

  /** Checkpoints that another Redis knew, and whose objects may still stand in the store; the newest first. */
  async checkpoints(
    principal: string,
    of: { id?: string; session?: string | undefined; limit: number },
  ): Promise<CheckpointRecord[]> {
    if (!this.deps.store) return [];
    const space = await StoreIdentity.idIn(this.deps.redis);
    return (await this.#ask((store) => store.checkpoints.elsewhere(principal, space, of))) ?? [];
  }

  /** @returns false where nothing is known of it */
  async deleteCheckpoint(principal: string, id: string): Promise<boolean> {
    return (await this.#ask((store) => store.checkpoints.delete(principal, id))) ?? false;
  }

  async #ask<T>(question: (store: AuditStore) => Promise<T>): Promise<T | undefined> {
    const { store, log } = this.deps;
    if (!store || performance.now() < this.#againAt) return undefined;
    const late = sleep(ANSWER_MS, undefined, { ref: false }).then(() => {
      throw new Error(`no answer within ${ANSWER_MS} ms`);
    });
    const asked = question(store);
    asked.catch(() => {}); // also after nobody waits for it any more
    late.catch(() => {});
    return await Promise.race([asked, late]).catch((err: unknown) => {
      this.#againAt = performance.now() + RETRY_MS;
      log.warn({ err }, "Postgres did not tell what is gone");
      return undefined;
    });
  }
}

const describe = ({ id, image, createdAt, lastUsedAt, expiresAt, checkpoints, closedAt }: KeptSession): Structured => ({
  session_id: id,
  state: closedAt ? "closed" : "lost",
  ...(image ? { image } : {}),
  created_at: createdAt.toISOString(),
  last_used_at: lastUsedAt.toISOString(),
  expires_at: (closedAt ?? expiresAt).toISOString(),
  checkpoints,
});

const describeCall = ({ id, tool, state, submittedAt, startedAt, endedAt }: AuditEntry): Structured => ({
  call_id: id,
  tool,
  state,
  submitted_at: new Date(submittedAt).toISOString(),
  ...(startedAt === null ? {} : { started_at: new Date(startedAt).toISOString() }),
  ended_at: new Date(endedAt).toISOString(),
});
