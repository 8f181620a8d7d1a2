import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { SessionId } from "../../shared/ids.ts";
import { LOST, lostNotice } from "../../shared/lost-session.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";

/**
 * Sessions that are ours by the records and that nobody here holds: the step that should have taken them in, or let them
 * go, failed. Their owner lives, so nobody else would take them.
 */
export class ForgottenSessions {
  readonly #records: Records;
  /** At the last look; a step may only have been under way. */
  #suspects = new Set<SessionId>();

  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      log: Logger;
      isKnown: (sid: SessionId) => boolean;
      /** Takes in what was claimed in this epoch. */
      adopt: (sid: SessionId, epoch: number) => Promise<void>;
    },
    private readonly worker: string,
  ) {
    this.#records = new Records(deps.redis);
  }

  /** Takes in, or ends, what it finds for the second time. */
  async look(): Promise<void> {
    const { redis, isKnown } = this.deps;
    const listed = (await redis.smembers(keys.workerSessions(this.worker))) as SessionId[];
    const before = this.#suspects;
    this.#suspects = new Set();
    for (const sid of listed) {
      if (isKnown(sid)) continue;
      const record = await this.#records.session(sid);
      if (record?.owner !== this.worker || isKnown(sid)) continue;
      if (before.has(sid)) await this.#takeIn(record);
      else this.#suspects.add(sid);
    }
  }

  async #takeIn({ id, principal, epoch, state }: SessionRecord): Promise<void> {
    const { redis, scripts, adopt, log } = this.deps;
    log.warn({ session: id, state }, "a session of ours was held by nobody");
    if (state === "closing") {
      await scripts.release(id, epoch, { outcome: LOST.unknown });
      await redis.zrem(keys.principalSessions(principal), id);
      return;
    }
    if (state === "starting") return await adopt(id, epoch);
    const to = { owner: this.worker, state: "starting" as const, notice: lostNotice("its worker lost it"), ...LOST };
    const fresh = await scripts.lose(id, epoch, to);
    if (fresh > 0) await adopt(id, fresh);
  }
}
