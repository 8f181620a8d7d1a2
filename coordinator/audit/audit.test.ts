import { expect } from "chai";
import { newCallId, newSessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { SessionScripts } from "../../shared/redis/session-scripts.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import type { AuditEntry } from "./audit-entry.ts";
import { AuditStream } from "./audit-stream.ts";
import { EndedCalls } from "./ended-calls.ts";
import { RequestTrail } from "./request-trail.ts";

const entry = (id: string): AuditEntry => ({
  ...{ id, principal: "ann", session: "", tool: "get_session", argumentsHash: "h", state: "done", outcome: "OK" },
  ...{ exitCode: null, outputBytes: 0, worker: "", submittedAt: 1, startedAt: 1, endedAt: 2 },
});
const many = (count: number): AuditEntry[] => Array.from({ length: count }, (_, i) => entry(`req_${i}`));

describe("The audit in Redis", () => {
  const server = useRedis();
  const read = async (): Promise<AuditEntry[]> =>
    (await server.redis.xrange(keys.audit, "-", "+")).map(([, [, json]]) => JSON.parse(json!) as AuditEntry);

  it("gives entries again until they are acknowledged, in their order", async () => {
    const stream = new AuditStream(server.redis, 1_000);
    await stream.add(many(5));
    const first = await stream.next(2);
    expect(first.map(({ entry: { id } }) => id)).to.deep.equal(["req_0", "req_1"]);
    const again = await new AuditStream(server.redis, 1_000).next(2);
    expect(again).to.deep.equal(first);
    await stream.acknowledge(again);
    expect((await stream.next(9)).map(({ entry: { id } }) => id)).to.deep.equal(["req_2", "req_3", "req_4"]);
    expect(await stream.dropped()).to.equal(0);
  });

  it("is bounded: the oldest go, and how many of them nobody had read is known", async () => {
    const stream = new AuditStream(server.redis, 100);
    await stream.add(many(50));
    await stream.acknowledge(await stream.next(50));
    await stream.add(many(1_000));
    const kept = (await read()).length;
    expect(kept).to.be.within(100, 300);
    expect(await stream.dropped()).to.equal(1_000 - kept);
    const rest = await stream.next(1_000);
    expect(rest).to.have.length(kept);
    await stream.acknowledge(rest);
  });

  it("has each call that ended, by whomever, with what its record says", async () => {
    const { redis } = server;
    const scripts = new SessionScripts(redis);
    const sid = newSessionId();
    const created = newCallId(sid);
    const call = { callId: created, args: '{"image":"secret"}', waitMs: 1_000, key: "", argsHash: "hash" };
    await scripts.open(sid, call, { principal: "ann", memory_mb: 512, cpus: 1, idle_ms: 60_000, env: "{}" });
    const lease = { worker: "w_one", epoch: await scripts.claim(sid, "w_one") };
    const outcome = JSON.stringify({ failure: { code: "NO_CAPACITY", message: "secret" } });
    await scripts.release(sid, lease.epoch, { outcome });
    const subscriber = await server.connect("subscriber");
    const ended = new EndedCalls({ redis, subscriber, stream: new AuditStream(redis, 1_000), log: silentLog });
    expect([...(await ended.move())], "nobody listened: it is found all the same").to.deep.equal([[sid, true]]);
    const [moved, ...others] = await read();
    expect(others).to.deep.equal([]);
    expect(moved).to.include({ id: created, principal: "ann", session: sid, tool: "create_session", worker: "w_one" });
    expect(moved).to.include({ argumentsHash: "hash", state: "failed", outcome: "NO_CAPACITY" });
    expect(JSON.stringify(moved)).not.to.include("secret");
    expect(await redis.exists(keys.ended(sid))).to.equal(0);
    expect([...(await ended.move())]).to.deep.equal([]);
  });

  it("waits out a Redis that does not answer, with the newest requests", async () => {
    const stream = new AuditStream(server.redis, 100_000);
    let isAway = true;
    let dropped = 0;
    const add = async (entries: readonly AuditEntry[]): Promise<void> => {
      if (isAway) throw new Error("away");
      await stream.add(entries);
    };
    const metrics = {
      dropped: (count: number) => {
        dropped += count;
      },
    };
    const trail = new RequestTrail({ stream: { add }, metrics, log: silentLog });
    for (const one of many(10_005)) trail.note(one);
    await trail.stop();
    expect(dropped).to.equal(5);
    isAway = false;
    await trail.stop();
    const kept = await read();
    expect([kept.length, kept[0]?.id]).to.deep.equal([10_000, "req_5"]);
  });
});
