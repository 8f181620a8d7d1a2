import type { Redis } from "ioredis";
import { isSessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";

/** Something of this deployment that some worker made. */
export interface Suspect {
  id: string;
  /** A session's container is called `codegen-mcp-<session>-<epoch>`. */
  name: string;
  /** The incarnation that made it. */
  worker: string;
  createdAt: number;
}

/** What Redis knew of workers before the suspects were looked at. */
export interface Workers {
  /** They beat, or did so until a moment ago. */
  present: ReadonlySet<string>;
  /** They are over: their sessions were taken back or handed over before this was written. */
  ended: ReadonlySet<string>;
}

/** Tells what is nobody's any more. Everything is looked at twice, a pass apart: what is on its way gets there meanwhile. */
export class OrphanJudge {
  readonly #suspected = new Set<string>();

  constructor(
    private readonly redis: Redis,
    private readonly options: { worker: string; orphanAgeMs: number },
  ) {}

  async workers(): Promise<Workers> {
    const [present, ended] = await Promise.all([
      this.redis.smembers(keys.workers),
      this.redis.zrevrange(keys.endedWorkers, 0, -1),
    ]);
    return { present: new Set(present), ended: new Set(ended) };
  }

  /** @returns those that were orphans the last time too; the others are remembered until the next */
  async twiceFound<T extends Suspect>(suspects: readonly T[], workers: Workers): Promise<T[]> {
    const verdicts = await Promise.all(suspects.map((suspect) => this.#isOrphan(suspect, workers)));
    const orphans = suspects.filter((_, i) => verdicts[i]);
    const again = orphans.filter(({ id }) => this.#suspected.has(id));
    for (const { id } of suspects) this.#suspected.delete(id);
    for (const { id } of orphans) this.#suspected.add(id);
    return again;
  }

  async #isOrphan({ id, name, worker, createdAt }: Suspect, { present, ended }: Workers): Promise<boolean> {
    const isOld = Date.now() - createdAt > this.options.orphanAgeMs;
    const [, sid = "", epoch = ""] = /^codegen-mcp-(ses_[0-9a-z]+)-(\d+)$/.exec(name) ?? [];
    if (isSessionId(sid)) {
      const [state, owner, current, held] = await this.redis.hmget(
        keys.session(sid),
        "state",
        "owner",
        "epoch",
        "container",
      );
      const isOpen = state && state !== "closed";
      if (isOpen && owner && held === id) return false; // whoever made it
      if (worker !== this.options.worker && (state === "closed" || Number(current) > Number(epoch))) return true;
    }
    if (worker === this.options.worker) return isOld; // its own host knows nothing of it
    if (present.has(worker)) return false;
    return ended.has(worker) || isOld;
  }
}
