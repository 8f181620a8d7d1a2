import { expect } from "chai";
import { EVENT, started, useSession, WORKER } from "../../test/support/use-session.ts";
import { newCallId } from "../ids.ts";
import { keys } from "./keys.ts";
import { FencedError } from "./session-scripts.ts";

describe("SessionScripts", () => {
  const own = useSession();
  const { claimed, queued, submit } = own;

  it("gives a session to the first worker that claims it, and to no other", async () => {
    expect(await own.scripts.claim(own.sid, WORKER)).to.equal(1);
    expect(await own.scripts.claim(own.sid, "w_two")).to.equal(0);
    expect(await own.scripts.claim(own.sid, WORKER), "a resent claim").to.equal(1);
  });

  it("lets reads overlap, and a mutating call run alone at the head", async () => {
    const lease = await claimed();
    const [read1, read2, write, read3] = [
      await queued("read_file"),
      await queued("read_file"),
      await queued("write_file"),
      await queued("read_file"),
    ];
    expect(started(await own.scripts.next(own.sid, lease))).to.deep.equal([read1, read2]);
    const end = { state: "done" as const, outcome: "{}", event: EVENT };
    expect(started(await own.scripts.finish(own.sid, lease, { callId: read2, ...end }))).to.deep.equal([]);
    expect(started(await own.scripts.finish(own.sid, lease, { callId: read1, ...end }))).to.deep.equal([write]);
    expect(started(await own.scripts.finish(own.sid, lease, { callId: write, ...end }))).to.deep.equal([read3]);
  });

  it("starts a call once, and lists it by its id after that", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    expect((await own.scripts.next(own.sid, lease)).calls[0]?.start).to.include({
      tool: "run_command",
      args: '{"a":1}',
    });
    expect((await own.scripts.next(own.sid, lease)).calls).to.deep.equal([{ callId: id }]);
  });

  it("frees the lane when a call detaches, and keeps the call's end for later", async () => {
    const lease = await claimed();
    const [long, next] = [await queued("run_command"), await queued("run_command")];
    await own.scripts.next(own.sid, lease);
    expect(started(await own.scripts.detach(own.sid, lease, long))).to.deep.equal([next]);
    await own.scripts.finish(own.sid, lease, {
      callId: long,
      state: "done",
      outcome: '{"result":{"x":1}}',
      event: EVENT,
    });
    expect((await own.records.call(own.sid, long))?.outcome).to.deep.equal({ result: { x: 1 } });
  });

  it("refuses every write of a worker that no longer owns the session in this epoch", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    await own.scripts.next(own.sid, lease);
    await own.scripts.lose(own.sid, lease.epoch, {
      owner: "w_two",
      state: "starting",
      notice: "n",
      unknown: "{}",
      reset: "{}",
    });
    const fenced = async (attempt: Promise<unknown>) =>
      expect(await attempt.catch((error: unknown) => error)).to.be.instanceOf(FencedError);
    const chunk = { callId: id, sequence: 1, offset: 0, isStderr: false, data: Buffer.from("x"), event: EVENT };
    await fenced(own.scripts.next(own.sid, lease));
    await fenced(own.scripts.append(own.sid, lease, chunk, 1_000));
    await fenced(own.scripts.finish(own.sid, lease, { callId: id, state: "done", outcome: "{}", event: EVENT }));
    await fenced(own.scripts.detach(own.sid, lease, id));
    await fenced(own.scripts.ready(own.sid, lease, { workdir: "/" }));
    expect((await own.records.call(own.sid, id))?.state).to.equal("outcome_unknown");
  });

  it("lets an unclaimed session go by itself, and keeps a claimed one", async () => {
    const ttls = async () =>
      await Promise.all(
        (await own.server.redis.keys(`${keys.session(own.sid)}*`)).map((key) => own.server.redis.ttl(key)),
      );
    for (const ttl of await ttls()) expect(ttl).to.be.greaterThan(0);
    await own.scripts.claim(own.sid, WORKER);
    for (const ttl of await ttls()) expect(ttl).to.equal(-1);
  });

  it("counts what reads a session as use, for its own principal only", async () => {
    await own.server.redis.hset(keys.session(own.sid), "expires_at", 1);
    expect(await own.scripts.touch(own.sid, "bob")).to.equal(false);
    expect(await own.server.redis.hget(keys.session(own.sid), "expires_at")).to.equal("1");
    expect(await own.scripts.touch(own.sid, "ann")).to.equal(true);
    expect(Number(await own.server.redis.hget(keys.session(own.sid), "expires_at"))).to.be.greaterThan(1);
  });

  it("attaches the same key and arguments to the first call, and refuses the key with others", async () => {
    const id = await queued("write_file", { key: "k" });
    expect(await submit("write_file", { key: "k" })).to.deep.equal({ kind: "attached", callId: id, ask: 2 });
    expect(await submit("write_file", { key: "k", argsHash: "other" })).to.deep.equal({ kind: "conflict" });
  });

  it("records a resent submission once", async () => {
    const callId = newCallId(own.sid);
    await queued("write_file", { callId });
    await queued("write_file", { callId });
    expect(await own.server.redis.llen(keys.lane(own.sid))).to.equal(2); // with create_session
  });

  it("refuses what another principal submits, and what is too much", async () => {
    expect((await submit("read_file", { principal: "bob" })).kind).to.equal("gone");
    expect(await submit("read_file", { maxDepth: 1 })).to.deep.equal({ kind: "full", depth: 1 });
  });

  it("never starts a call that was cancelled while it was queued, and frees its key", async () => {
    const lease = await claimed();
    const [first, second] = [await queued("run_command"), await queued("write_file", { key: "k" })];
    await own.scripts.next(own.sid, lease);
    expect(await own.scripts.cancel(own.sid, second, '{"failure":{}}')).to.equal("cancelled");
    const end = { callId: first, state: "done" as const, outcome: "{}", event: EVENT };
    expect(started(await own.scripts.finish(own.sid, lease, end))).to.deep.equal([]);
    expect((await submit("write_file", { key: "k" })).kind).to.equal("queued");
  });

  it("cancels a call once every request that asked for it went away, however often each says so", async () => {
    const lease = await claimed();
    const id = await queued("run_command", { key: "k" });
    const attached = await submit("run_command", { key: "k" });
    expect(attached).to.deep.equal({ kind: "attached", callId: id, ask: 2 });
    await own.scripts.next(own.sid, lease);
    await own.scripts.leave(own.sid, id, 1, "{}");
    await own.scripts.leave(own.sid, id, 1, "{}");
    expect((await own.scripts.next(own.sid, lease)).cancels).to.deep.equal([]);
    await own.scripts.leave(own.sid, id, 2, "{}");
    expect((await own.scripts.next(own.sid, lease)).cancels).to.deep.equal([id]);
  });

  it("names a running call to its owner when somebody cancels it", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    await own.scripts.next(own.sid, lease);
    expect(await own.scripts.cancel(own.sid, id, "{}")).to.equal("running");
    expect((await own.scripts.next(own.sid, lease)).cancels).to.deep.equal([id]);
  });

  it("expires a session only when it is idle and nothing is open in it", async () => {
    const lease = await claimed();
    expect(await own.scripts.expire(own.sid, lease)).to.equal(false);
    await own.server.redis.hset(keys.session(own.sid), "expires_at", 1);
    const id = await queued("run_command");
    await own.server.redis.hset(keys.session(own.sid), "expires_at", 1);
    expect(await own.scripts.expire(own.sid, lease), "a call waits").to.equal(false);
    await own.scripts.next(own.sid, lease);
    await own.scripts.finish(own.sid, lease, { callId: id, state: "done", outcome: "{}", event: EVENT });
    expect(await own.scripts.expire(own.sid, lease)).to.equal(true);
    expect((await submit("run_command")).kind).to.equal("gone");
  });
});
