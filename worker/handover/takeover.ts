import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { endWorker } from "../../shared/end-worker.ts";
import type { SessionId } from "../../shared/ids.ts";
import { LOST, lostNotice } from "../../shared/lost-session.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { SandboxHost } from "../sandbox/sandbox-host.ts";
import type { SessionKeeper } from "../session/session-keeper.ts";

const AT_ONCE = 8;

/**
 * Takes over what an earlier worker had on this engine, whether it handed it over or was killed. Every step is
 * compare-and-set: where the reaper was faster, the session is somebody else's.
 */
export class Takeover {
  readonly #records: Records;

  constructor(
    private readonly deps: {
      redis: Redis;
      queueRedis: Redis;
      scripts: SessionScripts;
      host: SandboxHost;
      keeper: SessionKeeper;
      log: Logger;
    },
    private readonly worker: string,
  ) {
    this.#records = new Records(deps.redis);
  }

  /**
   * @param room the most sessions to take
   * @returns false when more are left; else the earlier worker is recorded as ended
   */
  async takeFrom(former: string, room = Number.POSITIVE_INFINITY): Promise<boolean> {
    const { redis, queueRedis, log } = this.deps;
    const sessions = (await redis.smembers(keys.workerSessions(former))) as SessionId[];
    const isAll = sessions.length <= room;
    if (!isAll) sessions.length = Math.max(room, 0);
    let taken = 0;
    const takeNext = async (): Promise<void> => {
      for (let sid = sessions.pop(); sid; sid = sessions.pop()) {
        if (await this.#take(sid, former)) taken++;
        if (!isAll) await redis.srem(keys.workerSessions(former), sid);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, takeNext));
    if (isAll) await endWorker(former, redis, queueRedis);
    log.info({ former, sessions: taken }, "sessions of another worker are taken over");
    return isAll;
  }

  async #take(sid: SessionId, former: string): Promise<boolean> {
    const { redis, scripts, host, keeper } = this.deps;
    const record = await this.#records.session(sid);
    if (record?.owner !== former) return false;
    await redis.sadd(keys.workerSessions(this.worker), sid);
    if (record.state === "closing") return await this.#close(record);
    const sandbox = record.container ? await host.find(record.container) : undefined;
    const from = { worker: former, epoch: record.epoch };
    const epoch = sandbox ? await scripts.adopt(sid, from, this.worker) : 0;
    if (sandbox && epoch > 0) {
      await keeper.resume({ ...record, epoch }, sandbox);
      return true;
    }
    await sandbox?.leave();
    const notice = lostNotice("it ended while its worker was replaced");
    const to = { owner: this.worker, state: "starting" as const, notice, ...LOST };
    const fresh = await scripts.lose(sid, record.epoch, to);
    if (fresh > 0) await keeper.adopt(sid, fresh);
    return fresh > 0;
  }

  async #close({ id, epoch }: SessionRecord): Promise<boolean> {
    await this.deps.scripts.release(id, epoch, { outcome: LOST.unknown });
    return false;
  }
}
