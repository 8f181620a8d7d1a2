import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { SessionId } from "../../shared/ids.ts";
import { PeriodicService } from "../../shared/periodic-service.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Placement } from "../../shared/redis/placement.ts";
import type { Doorbells } from "./doorbells.ts";
import type { SessionOpener } from "./session-opener.ts";

const EVERY_MS = 500;

/**
 * Ends the wait of new sessions that no worker took in time, and rings for those that may be taken. Every coordinator runs
 * it; each session is given to one.
 */
export class PlacementKeeper extends PeriodicService {
  constructor(
    private readonly deps: {
      redis: Redis;
      placement: Placement;
      opener: SessionOpener;
      doorbells: Doorbells;
      log: Logger;
    },
    private readonly timeoutMs: number,
  ) {
    super("placement keeper", EVERY_MS, deps.log);
  }

  protected override async pass(): Promise<void> {
    const { redis, placement, opener, doorbells } = this.deps;
    if (redis.status !== "ready") return;
    for (const sid of await placement.takeStale()) {
      const [principal, state, epoch] = await redis.hmget(keys.session(sid), "principal", "state", "epoch");
      if (state === "queued") await opener.enqueue(sid, principal ?? "", Number(epoch));
    }
    if ((await placement.waiting()) > 0) doorbells.ringPlacement(); // though nobody may wait here for it
    for (const sid of await placement.takeOverdue(this.timeoutMs)) await this.#endWait(sid);
  }

  /** A session that had a worker before waits for as long as it may be idle: its files are to come back. */
  async #endWait(sid: SessionId): Promise<void> {
    const { redis, opener } = this.deps;
    const fields = ["principal", "epoch", "expires_at", "state"];
    const [principal, epoch, expiresAt, state] = await redis.hmget(keys.session(sid), ...fields);
    if (Number(epoch) > 0 && state === "queued" && Date.now() < Number(expiresAt)) {
      await opener.enqueue(sid, principal ?? "", Number(epoch));
      return;
    }
    const why = `No worker took the session within ${this.timeoutMs / 1000} s`;
    await opener.refuse(sid, principal ?? "", why, Number(epoch ?? 0));
  }
}
