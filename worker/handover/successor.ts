import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { endWorker } from "../../shared/end-worker.ts";
import type { SessionId } from "../../shared/ids.ts";
import { LOST, lostNotice } from "../../shared/lost-session.ts";
import { Records, type SessionRecord } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SandboxHost } from "../sandbox/sandbox-host.ts";
import type { SessionKeeper } from "../session/session-keeper.ts";
import { type FormerWorker, StateFolder } from "./state-folder.ts";

const RETRY_MS = 1_000;
const BEAT_POLL_MS = 50;
const AT_ONCE = 8;

/**
 * Takes over what earlier workers of this state folder had on this engine, whether they handed it over or were killed.
 * Every step is compare-and-set: where the reaper was faster, the session is somebody else's.
 */
export class Successor {
  readonly #records: Records;
  #folder: StateFolder | undefined;
  #former: FormerWorker[] = [];
  #taking: Promise<void> | undefined;

  constructor(
    private readonly deps: {
      redis: Redis;
      queueRedis: Redis;
      scripts: SessionScripts;
      host: SandboxHost;
      /** Nothing is taken before a beat got through: it could be taken back at once. */
      beats: { readonly mayStart: boolean };
      keeper: SessionKeeper;
      log: Logger;
    },
    private readonly worker: string,
    private readonly root: string,
  ) {
    this.#records = new Records(deps.redis);
  }

  /** Takes the folder: from now on no other process has it. */
  async begin(): Promise<void> {
    this.#folder = await StateFolder.take(this.root);
    this.#former = await this.#folder.read();
  }

  /** The engine is there: begins to take over, once. Tries until it is done. */
  takeOver(): void {
    this.#taking ??= this.#takeAll();
  }

  /** Nothing is left here that this worker would still write: its own successor may begin. */
  end(): void {
    this.#folder?.release();
  }

  async #takeAll(): Promise<void> {
    for (;;) {
      try {
        const engine = this.deps.host.present?.engineId;
        if (engine === undefined) throw new Error("the engine went away");
        while (!this.deps.beats.mayStart) await sleep(BEAT_POLL_MS, undefined, { ref: false });
        const own = { worker: this.worker, engine };
        await this.#folder?.write([own, ...this.#former]);
        for (const former of this.#former) if (former.engine === engine) await this.#takeFrom(former.worker);
        await this.#folder?.write([own]);
        return;
      } catch (err) {
        this.deps.log.warn({ err }, "sessions of the last worker were not taken over; it is tried again");
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  async #takeFrom(former: string): Promise<void> {
    const { redis, queueRedis, host, log } = this.deps;
    const sessions = (await redis.smembers(keys.workerSessions(former))) as SessionId[];
    let taken = 0;
    const takeNext = async (): Promise<void> => {
      for (let sid = sessions.pop(); sid; sid = sessions.pop()) if (await this.#take(sid, former)) taken++;
    };
    await Promise.all(Array.from({ length: AT_ONCE }, takeNext));
    await endWorker(former, redis, queueRedis);
    await host.removeLeftBy(former);
    log.info({ former, sessions: taken }, "sessions of the last worker are taken over");
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
