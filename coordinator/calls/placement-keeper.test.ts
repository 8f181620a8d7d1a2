import { expect } from "chai";
import { newSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { Placement } from "../../shared/redis/placement.ts";
import { eventually } from "../../test/support/eventually.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import type { Doorbells } from "./doorbells.ts";
import { PlacementKeeper } from "./placement-keeper.ts";
import type { SessionOpener } from "./session-opener.ts";

const TIMEOUT_MS = 50;

/** Looks when it is told to. */
class ManualKeeper extends PlacementKeeper {
  look(): Promise<void> {
    return this.pass();
  }
}

describe("PlacementKeeper", () => {
  const server = useRedis();
  let placement: Placement;
  let keeper: ManualKeeper;
  let refused: SessionId[];
  beforeEach(() => {
    placement = new Placement(server.redis);
    refused = [];
    const opener = {
      enqueue: (sid: SessionId, principal: string, epoch: number) =>
        placement.enqueue(sid, principal, 100, { isReturning: epoch > 0 }),
      refuse: async (sid: SessionId) => void refused.push(sid),
    } as unknown as SessionOpener;
    const doorbells = { ringPlacement: () => {} } as unknown as Doorbells;
    const deps = { redis: server.redis, placement, opener, doorbells, log: silentLog };
    keeper = new ManualKeeper(deps, TIMEOUT_MS);
  });
  const waits = async (epoch: number, expiresAt: number): Promise<SessionId> => {
    const sid = newSessionId();
    await server.redis.hset(keys.session(sid), { principal: "ann", epoch, state: "queued", expires_at: expiresAt });
    await placement.enqueue(sid, "ann", 100, { isReturning: epoch > 0 });
    return sid;
  };

  it("refuses a new session that waited too long; one that had a worker waits for as long as it may be idle", async () => {
    const [fresh, lost] = [await waits(0, Date.now() + 60_000), await waits(1, Date.now() + 60_000)];
    const expired = await waits(1, Date.now());
    await eventually("who waited too long is refused", async () => {
      await keeper.look();
      return refused.length === 2;
    });
    expect(refused).to.have.members([fresh, expired]);
    const taken = await placement.take("w_late", 0, 0.1, 9_000);
    expect(taken).to.deep.include({ kind: "taken", sessionId: lost, stillWaiting: 0 });
    expect(await placement.take("w_late", 0, 0.1, 9_000)).to.deep.equal({ kind: "none" });
  });
});
