import { expect } from "chai";
import type { Redis } from "ioredis";
import { eventually } from "../../test/support/eventually.ts";
import { useRedis } from "../../test/support/use-redis.ts";
import { type CallId, newCallId, newCheckpointId, newSessionId, processIdOf, type SessionId } from "../ids.ts";
import { Records } from "../records.ts";
import { keys } from "./keys.ts";
import { FencedError, type Offer, parseOffer, SessionScripts } from "./session-scripts.ts";

const WORKER = "w_one";
const EVENT = Buffer.from("event");
const PROCESS_END = { status: "exited", exitCode: 0, signal: "", durationMs: 5, bytes: 0, logBytes: 0 };

describe("SessionScripts", () => {
  const server = useRedis();
  let scripts: SessionScripts;
  let records: Records;
  let sid: SessionId;

  beforeEach(async () => {
    scripts = new SessionScripts(server.redis);
    records = new Records(server.redis);
    sid = newSessionId();
    const create = { callId: newCallId(sid), args: "{}", waitMs: 1_000, key: "", argsHash: "h" };
    await scripts.open(sid, create, { principal: "ann", memory_mb: 512, cpus: 1, idle_ms: 60_000, env: "{}" });
  });

  const submit = async (tool: string, over: Partial<Parameters<SessionScripts["submit"]>[1]> = {}) =>
    await scripts.submit(sid, {
      callId: newCallId(sid),
      principal: "ann",
      tool,
      class: "lane",
      mutates: tool !== "read_file",
      args: '{"a":1}',
      argsHash: "h",
      key: "",
      waitMs: 1_000,
      maxDepth: 10,
      label: "",
      ...over,
    });
  const queued = async (tool: string, over = {}): Promise<CallId> => {
    const submitted = await submit(tool, over);
    if (submitted.kind !== "queued") throw new Error(`not queued: ${submitted.kind}`);
    return submitted.callId;
  };
  /** Claims the session and ends its create call, so that its lane is free. */
  const claimed = async () => {
    const lease = { worker: WORKER, epoch: await scripts.claim(sid, WORKER) };
    const { calls } = await scripts.next(sid, lease);
    for (const { callId } of calls)
      await scripts.finish(sid, lease, { callId, state: "done", outcome: '{"result":{}}', event: EVENT });
    return lease;
  };
  const started = ({ calls }: { calls: { callId: CallId; start?: unknown }[] }) =>
    calls.filter((call) => call.start).map((call) => call.callId);

  it("gives a session to the first worker that claims it, and to no other", async () => {
    expect(await scripts.claim(sid, WORKER)).to.equal(1);
    expect(await scripts.claim(sid, "w_two")).to.equal(0);
    expect(await scripts.claim(sid, WORKER), "a resent claim").to.equal(1);
  });

  it("lets reads overlap, and a mutating call run alone at the head", async () => {
    const lease = await claimed();
    const [read1, read2, write, read3] = [
      await queued("read_file"),
      await queued("read_file"),
      await queued("write_file"),
      await queued("read_file"),
    ];
    expect(started(await scripts.next(sid, lease))).to.deep.equal([read1, read2]);
    const end = { state: "done" as const, outcome: "{}", event: EVENT };
    expect(started(await scripts.finish(sid, lease, { callId: read2, ...end }))).to.deep.equal([]);
    expect(started(await scripts.finish(sid, lease, { callId: read1, ...end }))).to.deep.equal([write]);
    expect(started(await scripts.finish(sid, lease, { callId: write, ...end }))).to.deep.equal([read3]);
  });

  it("starts a call once, and lists it by its id after that", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    expect((await scripts.next(sid, lease)).calls[0]?.start).to.include({ tool: "run_command", args: '{"a":1}' });
    expect((await scripts.next(sid, lease)).calls).to.deep.equal([{ callId: id }]);
  });

  it("frees the lane when a call detaches, and keeps the call's end for later", async () => {
    const lease = await claimed();
    const [long, next] = [await queued("run_command"), await queued("run_command")];
    await scripts.next(sid, lease);
    expect(started(await scripts.detach(sid, lease, long))).to.deep.equal([next]);
    await scripts.finish(sid, lease, { callId: long, state: "done", outcome: '{"result":{"x":1}}', event: EVENT });
    expect((await records.call(sid, long))?.outcome).to.deep.equal({ result: { x: 1 } });
  });

  it("refuses every write of a worker that no longer owns the session in this epoch", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    await scripts.next(sid, lease);
    await scripts.lose(sid, lease.epoch, {
      owner: "w_two",
      state: "starting",
      notice: "n",
      unknown: "{}",
      reset: "{}",
    });
    const fenced = async (attempt: Promise<unknown>) =>
      expect(await attempt.catch((error: unknown) => error)).to.be.instanceOf(FencedError);
    const chunk = { callId: id, sequence: 1, offset: 0, isStderr: false, data: Buffer.from("x"), event: EVENT };
    await fenced(scripts.next(sid, lease));
    await fenced(scripts.append(sid, lease, chunk, 1_000));
    await fenced(scripts.finish(sid, lease, { callId: id, state: "done", outcome: "{}", event: EVENT }));
    await fenced(scripts.detach(sid, lease, id));
    await fenced(scripts.ready(sid, lease, { workdir: "/" }));
    expect((await records.call(sid, id))?.state).to.equal("outcome_unknown");
  });

  it("tells a lost session's running calls from those that never started, and says so once", async () => {
    const lease = await claimed();
    const [running, waiting] = [await queued("run_command"), await queued("write_file", { key: "k", argsHash: "w" })];
    await scripts.next(sid, lease);
    const epoch = await scripts.lose(sid, lease.epoch, {
      owner: WORKER,
      state: "starting",
      notice: "lost it",
      unknown: '{"result":{"unknown":1}}',
      reset: '{"result":{"reset":1}}',
    });
    expect(epoch).to.equal(2);
    expect((await records.call(sid, running))?.state).to.equal("outcome_unknown");
    expect((await records.call(sid, waiting))?.state).to.equal("session_reset");
    expect((await records.process(sid, processIdOf(running)))?.status).to.equal("lost");
    expect((await submit("write_file", { key: "k", argsHash: "w" })).kind, "its key is free again").to.equal("queued");
    const [first, second] = [
      (await scripts.next(sid, { worker: WORKER, epoch })).calls[0]!.callId,
      await queued("read_file"),
    ];
    const lease2 = { worker: WORKER, epoch };
    await scripts.finish(sid, lease2, { callId: first, state: "done", outcome: "{}", event: EVENT });
    await scripts.finish(sid, lease2, { callId: second, state: "done", outcome: "{}", event: EVENT });
    expect((await records.call(sid, first))?.notice).to.equal("lost it: its files and processes are gone.");
    expect((await records.call(sid, second))?.notice).to.equal(undefined);
  });

  it("keeps what waits in a session that was lost before anything was changed in it", async () => {
    const epoch = await scripts.claim(sid, WORKER);
    const [create] = (await scripts.next(sid, { worker: WORKER, epoch })).calls;
    const waiting = await queued("run_command");
    const to = { owner: "", state: "queued" as const, notice: "n", unknown: "{}", reset: "{}" };
    expect(await scripts.lose(sid, epoch, to)).to.equal(2);
    const lease = { worker: "w_two", epoch: await scripts.claim(sid, "w_two") };
    expect(started(await scripts.next(sid, lease)), "starts again").to.deep.equal([create?.callId]);
    const end = { state: "done" as const, outcome: "{}", event: EVENT };
    expect(started(await scripts.finish(sid, lease, { callId: create!.callId, ...end }))).to.deep.equal([waiting]);
    expect((await records.call(sid, create!.callId))?.notice).to.equal(undefined);
  });

  it("answers a loss that is told twice with the same epoch, and loses nothing more", async () => {
    const lease = await claimed();
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    expect(await scripts.lose(sid, lease.epoch, to)).to.equal(2);
    expect(await scripts.lose(sid, lease.epoch, to)).to.equal(2);
    expect(await scripts.lose(sid, lease.epoch, { ...to, owner: "w_three" }), "somebody else's").to.equal(0);
  });

  it("loses controls too: a close waits for the next owner, a kill ends", async () => {
    const lease = await claimed();
    const control = { class: "control" as const };
    const [kill, close] = [await queued("kill_process", control), await queued("close_session", control)];
    await scripts.next(sid, lease);
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: '{"result":{}}', reset: "{}" };
    const epoch = await scripts.lose(sid, lease.epoch, to);
    expect((await records.call(sid, kill))?.state).to.equal("outcome_unknown");
    expect(started(await scripts.next(sid, { worker: "w_two", epoch }))).to.deep.equal([close]);
  });

  it("starts a create_session again that had left the lane when it was lost", async () => {
    const epoch = await scripts.claim(sid, WORKER);
    const [create] = (await scripts.next(sid, { worker: WORKER, epoch })).calls;
    await scripts.detach(sid, { worker: WORKER, epoch }, create!.callId);
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    const next = await scripts.lose(sid, epoch, to);
    expect(started(await scripts.next(sid, { worker: "w_two", epoch: next }))).to.deep.equal([create?.callId]);
  });

  it("lets an unclaimed session go by itself, and keeps a claimed one", async () => {
    const ttls = async () =>
      await Promise.all((await server.redis.keys(`${keys.session(sid)}*`)).map((key) => server.redis.ttl(key)));
    for (const ttl of await ttls()) expect(ttl).to.be.greaterThan(0);
    await scripts.claim(sid, WORKER);
    for (const ttl of await ttls()) expect(ttl).to.equal(-1);
  });

  it("counts what reads a session as use, for its own principal only", async () => {
    await server.redis.hset(keys.session(sid), "expires_at", 1);
    expect(await scripts.touch(sid, "bob")).to.equal(false);
    expect(await server.redis.hget(keys.session(sid), "expires_at")).to.equal("1");
    expect(await scripts.touch(sid, "ann")).to.equal(true);
    expect(Number(await server.redis.hget(keys.session(sid), "expires_at"))).to.be.greaterThan(1);
  });

  it("attaches the same key and arguments to the first call, and refuses the key with others", async () => {
    const id = await queued("write_file", { key: "k" });
    expect(await submit("write_file", { key: "k" })).to.deep.equal({ kind: "attached", callId: id, ask: 2 });
    expect(await submit("write_file", { key: "k", argsHash: "other" })).to.deep.equal({ kind: "conflict" });
  });

  it("records a resent submission once", async () => {
    const callId = newCallId(sid);
    await queued("write_file", { callId });
    await queued("write_file", { callId });
    expect(await server.redis.llen(keys.lane(sid))).to.equal(2); // with create_session
  });

  it("refuses what another principal submits, and what is too much", async () => {
    expect((await submit("read_file", { principal: "bob" })).kind).to.equal("gone");
    expect(await submit("read_file", { maxDepth: 1 })).to.deep.equal({ kind: "full", depth: 1 });
  });

  it("never starts a call that was cancelled while it was queued, and frees its key", async () => {
    const lease = await claimed();
    const [first, second] = [await queued("run_command"), await queued("write_file", { key: "k" })];
    await scripts.next(sid, lease);
    expect(await scripts.cancel(sid, second, '{"failure":{}}')).to.equal("cancelled");
    const end = { callId: first, state: "done" as const, outcome: "{}", event: EVENT };
    expect(started(await scripts.finish(sid, lease, end))).to.deep.equal([]);
    expect((await submit("write_file", { key: "k" })).kind).to.equal("queued");
  });

  it("cancels a call once every request that asked for it went away, however often each says so", async () => {
    const lease = await claimed();
    const id = await queued("run_command", { key: "k" });
    const attached = await submit("run_command", { key: "k" });
    expect(attached).to.deep.equal({ kind: "attached", callId: id, ask: 2 });
    await scripts.next(sid, lease);
    await scripts.leave(sid, id, 1, "{}");
    await scripts.leave(sid, id, 1, "{}");
    expect((await scripts.next(sid, lease)).cancels).to.deep.equal([]);
    await scripts.leave(sid, id, 2, "{}");
    expect((await scripts.next(sid, lease)).cancels).to.deep.equal([id]);
  });

  it("names a running call to its owner when somebody cancels it", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    await scripts.next(sid, lease);
    expect(await scripts.cancel(sid, id, "{}")).to.equal("running");
    expect((await scripts.next(sid, lease)).cancels).to.deep.equal([id]);
  });

  it("keeps a chunk that was sent twice once, and evicts the oldest bytes past the bound", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    await scripts.next(sid, lease);
    const chunk = (sequence: number) => ({
      callId: id,
      sequence,
      offset: (sequence - 1) * 4,
      isStderr: sequence === 2,
      data: Buffer.from(`out${sequence}`),
      event: EVENT,
    });
    for (const sequence of [1, 1, 2, 3]) await scripts.append(sid, lease, chunk(sequence), 8);
    const kept = await records.output(sid, id, undefined, 10);
    expect(kept.map(({ id: at, isStderr, data }) => [at, isStderr, data.toString()])).to.deep.equal([
      ["1-2", true, "out2"],
      ["1-3", false, "out3"],
    ]);
    expect(await records.process(sid, processIdOf(id))).to.include({ evictedBefore: 4, bytes: 12 });
  });

  it("counts the processes that run, whatever became of their calls", async () => {
    const lease = await claimed();
    const callId = await queued("run_command");
    await scripts.next(sid, lease);
    await scripts.finish(sid, lease, { callId, state: "done", outcome: '{"result":{}}', event: EVENT });
    expect(await records.runningProcesses(sid), "it runs in the background").to.equal(1);
    await scripts.endProcess(sid, lease, callId, PROCESS_END);
    expect(await records.runningProcesses(sid)).to.equal(0);
  });

  it("records the end of a call's process with the call's", async () => {
    const lease = await claimed();
    const callId = await queued("run_command");
    await scripts.next(sid, lease);
    const end = { callId, state: "done" as const, outcome: '{"result":{}}', event: EVENT };
    await scripts.finish(sid, lease, { ...end, process: { ...PROCESS_END, exitCode: 3, bytes: 12 } });
    expect(await records.process(sid, processIdOf(callId))).to.include({ status: "exited", exitCode: 3, bytes: 12 });
    expect(await records.runningProcesses(sid)).to.equal(0);
  });

  describe("a call that is offered", () => {
    let lease: { worker: string; epoch: number };
    let heard: Offer[];
    let listener: Redis;

    beforeEach(async () => {
      lease = await claimed();
      await scripts.ready(sid, lease, {});
      heard = [];
      listener = server.redis.duplicate();
      await listener.subscribe(keys.offer(WORKER));
      listener.on("message", (_, message) => heard.push(parseOffer(message)));
    });
    afterEach(() => listener.disconnect());

    it("runs from its submission, and is told whole to the owner", async () => {
      const callId = await queued("run_command", { silent: [] });
      expect(await records.callState(sid, callId)).to.equal("running");
      expect(await records.process(sid, processIdOf(callId))).to.include({ status: "running" });
      await eventually("the owner hears of it", () => heard.length === 1);
      expect(heard[0]).to.deep.include({ sessionId: sid, epoch: lease.epoch, callId });
      expect(heard[0]!.start).to.include({ tool: "run_command", args: '{"a":1}', mutation: 1 });
      const { calls } = await scripts.next(sid, lease);
      expect(calls, "the owner that missed it finds it").to.deep.equal([{ callId }]);
    });

    it("waits to be asked for where it is not alone, or where its owner may not hear it", async () => {
      const large = `"${"x".repeat(20_000)}"`;
      for (const over of [{ silent: undefined }, { silent: ["w_other", WORKER] }, { silent: [], args: large }]) {
        const callId = await queued("run_command", over);
        expect(await records.callState(sid, callId), JSON.stringify(over).slice(0, 60)).to.equal("queued");
        expect(started(await scripts.next(sid, lease))).to.deep.equal([callId]);
        await scripts.finish(sid, lease, { callId, state: "done", outcome: "{}", event: EVENT });
      }
      const first = await queued("run_command", { silent: [] });
      const behind = await queued("run_command", { silent: [] });
      expect(await records.callState(sid, behind), "behind another").to.equal("queued");
      await scripts.finish(sid, lease, { callId: first, state: "done", outcome: "{}", event: EVENT });
      await scripts.finish(sid, lease, { callId: behind, state: "done", outcome: "{}", event: EVENT });
      await scripts.pause(sid, lease);
      expect(await records.callState(sid, await queued("run_command", { silent: [] })), "for the next owner").to.equal(
        "queued",
      );
      expect(heard.map(({ callId }) => callId)).to.deep.equal([first]);
    });

    it("waits where nobody listens", async () => {
      await listener.unsubscribe(keys.offer(WORKER));
      expect(await records.callState(sid, await queued("run_command", { silent: [] }))).to.equal("queued");
    });
  });

  it("knows the process of any tool from when it is said to start, once", async () => {
    const lease = await claimed();
    const callId = await queued("run_tests");
    await scripts.next(sid, lease);
    expect((await records.call(sid, callId))?.hasProcess).to.equal(false);
    expect(await records.process(sid, processIdOf(callId)), "it may end without one").to.equal(undefined);
    await scripts.beginProcess(sid, lease, callId);
    expect(await records.runningProcesses(sid)).to.equal(1);
    await scripts.endProcess(sid, lease, callId, PROCESS_END);
    await scripts.beginProcess(sid, lease, callId); // sent again
    expect(await records.process(sid, processIdOf(callId))).to.include({ status: "exited" });
    expect((await records.call(sid, callId))?.hasProcess).to.equal(true);
    expect(await records.runningProcesses(sid)).to.equal(0);
  });

  it("expires a session only when it is idle and nothing is open in it", async () => {
    const lease = await claimed();
    expect(await scripts.expire(sid, lease)).to.equal(false);
    await server.redis.hset(keys.session(sid), "expires_at", 1);
    const id = await queued("run_command");
    await server.redis.hset(keys.session(sid), "expires_at", 1);
    expect(await scripts.expire(sid, lease), "a call waits").to.equal(false);
    await scripts.next(sid, lease);
    await scripts.finish(sid, lease, { callId: id, state: "done", outcome: "{}", event: EVENT });
    expect(await scripts.expire(sid, lease)).to.equal(true);
    expect((await submit("run_command")).kind).to.equal("gone");
  });

  it("ends every open call of a session that closes, and lets all its keys go", async () => {
    const lease = await claimed();
    const keyed = await queued("write_file", { key: "k" });
    await scripts.next(sid, lease);
    await scripts.finish(sid, lease, { callId: keyed, state: "done", outcome: "{}", event: EVENT });
    await server.redis.zrem(keys.calls(sid), keyed); // as if 1,000 newer ones had pushed it out
    const [running, waiting] = [await queued("run_command"), await queued("run_command")];
    await scripts.next(sid, lease);
    const asking = await queued("close_session", { class: "control" });
    const end = { outcome: '{"failure":{"code":"X"}}', asking, answer: '{"result":{"closed":true}}' };
    expect(await scripts.release(sid, lease.epoch, end)).to.equal(true);
    expect(await scripts.release(sid, lease.epoch, end), "again").to.equal(false);
    expect((await records.call(sid, running))?.state).to.equal("failed");
    expect((await records.call(sid, waiting))?.state).to.equal("failed");
    expect((await records.call(sid, asking))?.outcome).to.deep.equal({ result: { closed: true } });
    for (const key of await server.redis.keys(`${keys.session(sid)}*`)) {
      expect(await server.redis.ttl(key), key).to.be.greaterThan(0);
    }
  });

  describe("with checkpoints", () => {
    const LOSS = { owner: "", state: "queued" as const, notice: "lost", unknown: "{}", reset: "{}" };
    const fields = (name = "") => ({ principal: "ann", name, layers: "a b", objects: "a b", time: "T", covered: 1 });
    /** A mutating call, from its start to its end. */
    const changed = async (lease: Awaited<ReturnType<typeof claimed>>): Promise<CallId> => {
      const callId = await queued("write_file");
      await scripts.next(sid, lease);
      await scripts.finish(sid, lease, { callId, state: "done", outcome: "{}", event: EVENT });
      return callId;
    };
    const point = async (lease: Awaited<ReturnType<typeof claimed>>, covered: number, more = {}) => {
      const id = newCheckpointId(sid);
      const to = { covered, isMoving: false, undone: 0, fields: fields(), ...more };
      return { id, gone: await scripts.checkpoint(sid, lease, id, to) };
    };

    it("keeps what waits where the checkpoint covers all that was changed, and loses no effects", async () => {
      const lease = await claimed();
      await changed(lease);
      const { id } = await point(lease, 1);
      const waiting = await queued("write_file");
      expect(await scripts.lose(sid, lease.epoch, LOSS)).to.equal(2);
      expect((await records.call(sid, waiting))?.state).to.equal("queued");
      expect(await records.session(sid)).to.deep.include({ checkpoint: id, lost: [] });
      expect(await server.redis.hget(keys.session(sid), "notice")).to.match(
        /^lost: .*in checkpoint \S+ of T, which holds all/,
      );
    });

    for (const [what, isMoving, covered, lost] of [
      ["a later call changed something", false, 1, [[2, 2]]],
      ["something ran while it was taken", true, 2, []],
    ] as const) {
      it(`resets what waits where ${what}, and says whose effects are lost`, async () => {
        const lease = await claimed();
        const [, second] = [await changed(lease), await changed(lease)];
        await point(lease, covered, { isMoving });
        const waiting = await queued("write_file");
        await scripts.lose(sid, lease.epoch, LOSS);
        expect((await records.call(sid, waiting))?.state).to.equal("session_reset");
        expect((await records.call(sid, second))?.mutation).to.equal(2);
        expect((await records.session(sid))?.lost).to.deep.equal(lost);
        expect(await server.redis.hget(keys.session(sid), "notice")).to.match(/what was changed after it is gone/);
      });
    }

    it("resets what waits behind a call that ran, however new the checkpoint", async () => {
      const lease = await claimed();
      const running = await queued("write_file");
      await scripts.next(sid, lease);
      await point(lease, 1);
      const waiting = await queued("write_file");
      await scripts.lose(sid, lease.epoch, LOSS);
      expect((await records.call(sid, running))?.state).to.equal("outcome_unknown");
      expect((await records.call(sid, waiting))?.state).to.equal("session_reset");
    });

    it("says of a loss that nobody was told of yet, too, that something is gone", async () => {
      const lease = await claimed();
      await changed(lease);
      await point(lease, 1);
      await changed(lease);
      await scripts.lose(sid, lease.epoch, LOSS);
      const next = { worker: WORKER, epoch: await scripts.claim(sid, WORKER) };
      const { id } = await point(next, 2);
      await scripts.lose(sid, next.epoch, LOSS);
      expect(await server.redis.hget(keys.session(sid), "notice"), "nothing was lost this time")
        .to.include(id)
        .and.to.include("what was changed after it is gone");
    });

    it("says that something is gone though an earlier loss, of nothing, was not told", async () => {
      const lease = await claimed();
      await changed(lease);
      await point(lease, 1);
      await scripts.lose(sid, lease.epoch, LOSS);
      const next = { worker: WORKER, epoch: await scripts.claim(sid, WORKER) };
      await queued("write_file");
      await scripts.next(sid, next);
      await scripts.lose(sid, next.epoch, LOSS);
      expect(await server.redis.hget(keys.session(sid), "notice")).to.include("what was changed after it is gone");
    });

    it("for a session that stands already changes nothing of it", async () => {
      const lease = await claimed();
      await point(lease, 0);
      await scripts.pinCheckpoint(sid, newCheckpointId(sid), fields());
      expect(await server.redis.ttl(keys.checkpoints(sid))).to.equal(-1);
      expect(await records.checkpoints(sid)).to.have.length(1);
    });

    it("is pointed to by its owner only, and sent twice it stands once", async () => {
      const lease = await claimed();
      const to = { covered: 0, isMoving: false, undone: 0, fields: fields() };
      const id = newCheckpointId(sid);
      await scripts.checkpoint(sid, lease, id, to);
      await scripts.checkpoint(sid, lease, id, to);
      expect((await records.checkpoints(sid)).map((one) => one.id)).to.deep.equal([id]);
      const late = scripts.checkpoint(sid, { worker: "w_two", epoch: 1 }, newCheckpointId(sid), to);
      expect(await late.catch((error) => error)).to.be.instanceOf(FencedError);
    });

    it("goes when three newer automatic ones stand; a named one stays, also after the session", async () => {
      const lease = await claimed();
      const { id: named } = await point(lease, 0, { fields: fields("mine") });
      const { id: oldest } = await point(lease, 0);
      for (let i = 0; i < 2; i++) expect((await point(lease, 0)).gone).to.deep.equal([]);
      const { id: newest, gone } = await point(lease, 0);
      expect(gone).to.deep.equal([oldest]);
      await scripts.release(sid, lease.epoch, { outcome: "{}" });
      expect(await server.redis.ttl(keys.checkpoint(sid, newest))).to.be.within(86_000, 86_400);
      expect(await server.redis.ttl(keys.checkpoint(sid, named))).to.equal(-1);
    });

    it("is deleted for its principal, though a session that lives may still come back from it", async () => {
      const lease = await claimed();
      const { id: older } = await point(lease, 0, { fields: fields("older") });
      const { id } = await point(lease, 0, { fields: fields("mine") });
      expect(await scripts.deleteCheckpoint(sid, id, "bob")).to.equal(false);
      expect(await scripts.deleteCheckpoint(sid, older, "ann")).to.equal(true);
      expect(await scripts.deleteCheckpoint(sid, id, "ann")).to.equal(true);
      expect(await scripts.deleteCheckpoint(sid, id, "ann"), "again").to.equal(false);
      expect(await records.checkpoints(sid)).to.deep.equal([]);
      expect((await records.newestCheckpoint((await records.session(sid))!))?.layers).to.deep.equal(["a", "b"]);
    });
  });
});
