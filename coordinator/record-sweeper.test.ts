import { expect } from "chai";
import { type CheckpointId, newCallId, newCheckpointId, newSessionId } from "../shared/ids.ts";
import { keys } from "../shared/redis/keys.ts";
import { silentLog, useRedis } from "../test/support/use-redis.ts";
import type { SessionOpener } from "./calls/session-opener.ts";
import { RecordSweeper } from "./record-sweeper.ts";

class SteppedSweeper extends RecordSweeper {
  async walkTwice(): Promise<void> {
    for (let i = 0; i < 3; i++) await this.pass(); // a test's keys fit into one step
  }
}

describe("RecordSweeper", () => {
  const server = useRedis();
  const placed: string[] = [];
  const opener = { enqueue: async (sid: string) => placed.push(sid) } as unknown as SessionOpener;
  const sweep = () => new SteppedSweeper({ redis: server.redis, opener, log: silentLog }).walkTwice();
  afterEach(() => void placed.splice(0));

  it("hands a worker's leftovers to the reaper: whatever keys it has, it is registered", async () => {
    await server.redis.hset("{cgq}:calls-w_queue:meta", "version", "1");
    await server.redis.sadd(keys.workerSessions("w_sessions"), "x");
    const sid = newSessionId();
    await server.redis.hset(keys.session(sid), { state: "ready", owner: "w_owner" });
    await sweep();
    expect(await server.redis.smembers(keys.workers)).to.have.members(["w_queue", "w_sessions", "w_owner"]);
    expect(await server.redis.smembers(keys.workerSessions("w_owner"))).to.deep.equal([sid]);
  });

  it("puts a session in line that waits in none", async () => {
    const sid = newSessionId();
    await server.redis.hset(keys.session(sid), { state: "queued", owner: "", principal: "ann" });
    await sweep();
    expect(placed).to.include(sid);
  });

  it("removes keys of sessions that have no record, and keeps those of sessions that have one", async () => {
    const [gone, there] = [newSessionId(), newSessionId()];
    await server.redis.hset(keys.session(there), { state: "ready", owner: "" });
    for (const sid of [gone, there]) await server.redis.hset(keys.call(sid, newCallId(sid)), "asked", 1);
    await server.redis.hset(keys.session(gone), "ring", 1);
    await sweep();
    const left = await server.redis.keys("cg:{*");
    expect(left).to.have.length(2);
    expect(left.every((key) => key.includes(there))).to.equal(true);
  });

  it("keeps the checkpoints of a session that is gone", async () => {
    const gone = newSessionId();
    const checkpoint = keys.checkpoint(gone, newCheckpointId(gone) as CheckpointId);
    await server.redis.hset(checkpoint, "name", "kept");
    await sweep();
    expect(await server.redis.exists(checkpoint)).to.equal(1);
  });

  it("takes sessions that are gone out of a principal's index, unless they are about to be made", async () => {
    const [old, young, there] = [newSessionId(), newSessionId(), newSessionId()];
    const index = keys.principalSessions("ann");
    await server.redis.hset(keys.session(there), { state: "ready", owner: "" });
    await server.redis.zadd(index, 1, old, 2, there, Date.now(), young);
    await server.redis.set(keys.creationKey("ann", "x:sessions"), "no index");
    await sweep();
    expect(await server.redis.zrange(index, "0", "-1")).to.deep.equal([there, young]);
  });
});
