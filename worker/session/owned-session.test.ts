import { expect } from "chai";
import { ToolFailure } from "../../shared/failure.ts";
import { newCallId, type SessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Lease, SessionScripts } from "../../shared/redis/session-scripts.ts";
import { claimSession } from "../../test/support/claim-session.ts";
import { eventually } from "../../test/support/eventually.ts";
import { uncounted } from "../../test/support/uncounted.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { FolderStore } from "../checkpoint/folder-store.ts";
import { Recovery } from "../checkpoint/recovery.ts";
import { type Executor, OwnedSession } from "./owned-session.ts";

describe("OwnedSession", () => {
  const server = useRedis();
  let scripts: SessionScripts;
  let records: Records;
  let sid: SessionId;
  let lease: Lease;
  let runs: string[];
  let session: OwnedSession;
  let hasLease: boolean;

  beforeEach(async () => {
    const claimed = await claimSession(server.redis);
    ({ scripts, sid, lease } = claimed);
    const { workspace } = claimed;
    records = new Records(server.redis);
    runs = [];
    const note: Executor = async (args, { callId }) => {
      runs.push(callId);
      return { seen: args };
    };
    const executors = new Map<string, Executor>([
      ["create_session", note],
      ["write_file", note],
      ["read_file", () => Promise.reject(new ToolFailure("SANDBOX_UNAVAILABLE", "not now"))],
      ["run_tests", () => new Promise(() => {})],
      ["edit_file", () => Promise.reject(new ToolFailure("OUTCOME_UNKNOWN", "who knows"))],
    ]);
    const onFenced = (fenced: OwnedSession): void => fenced.end();
    const store = new CheckpointStore(new FolderStore("/nowhere"), async () => "space");
    const recovery = new Recovery(
      { redis: server.redis, scripts, store, metrics: uncounted, log: silentLog },
      { durability: "none", quietMs: 0 },
    );
    const checkpoints = recovery.checkpointsOf((await records.session(sid))!, lease, workspace);
    hasLease = true;
    const deps = {
      scripts,
      records,
      executors,
      metrics: uncounted,
      mayStart: () => hasLease,
      principal: "ann",
      log: silentLog,
      onFenced,
    };
    session = new OwnedSession(deps, sid, lease, workspace, checkpoints);
  });
  afterEach(() => session.end());

  const submit = async (tool = "write_file", key = "", waitMs = 60_000) => {
    const callId = newCallId(sid);
    const call = { principal: "ann", tool, class: "lane", mutates: true, waitMs } as const;
    const rest = { args: '{"a":1}', argsHash: key || callId, key, maxDepth: 10, label: "" };
    const submitted = await scripts.submit(sid, { callId, ...call, ...rest });
    return submitted.kind === "attached" ? submitted.callId : callId;
  };
  const done = async (callId: Awaited<ReturnType<typeof submit>>) =>
    await eventually("the call is done", async () => (await records.callState(sid, callId)) === "done");

  it("frees the lane of a call that outlives its wait, though Redis refused that once", async () => {
    const detach = scripts.detach.bind(scripts);
    scripts.detach = async () => {
      scripts.detach = detach;
      throw new Error("MISCONF");
    };
    await session.ring();
    const [long, behind] = [await submit("run_tests", "", 10), await submit()];
    await session.ring();
    await done(behind);
    expect(await records.callState(sid, long)).to.equal("detached");
  });

  it("answers for a tool that only newer workers know", async () => {
    await session.ring();
    const callId = await submit("tool_of_tomorrow");
    await session.ring();
    await eventually("it has an end", async () => (await records.callState(sid, callId)) === "failed");
    const outcome = (await records.call(sid, callId))?.outcome;
    expect(outcome).to.have.nested.property("failure.code", "UNSUPPORTED");
    expect(outcome).to.have.nested.property("failure.message").that.includes("tool_of_tomorrow");
  });

  it("starts nothing without a lease, and what it was told to start meanwhile once it has one again", async () => {
    await session.ring();
    const callId = await submit();
    hasLease = false;
    await session.ring();
    expect(await records.callState(sid, callId), "it does not even ask").to.equal("queued");
    expect(await session.confirm()).to.equal(true);
    expect(await records.callState(sid, callId)).to.equal("running");
    expect(runs).not.to.include(callId);
    hasLease = true;
    await session.ring();
    await done(callId);
    expect(runs.filter((run) => run === callId)).to.have.length(1);
  });

  it("lets a key try again whose call the sandbox could not take, and no other", async () => {
    const ended = async (tool: string, key: string) => {
      const callId = await submit(tool, key);
      await session.ring();
      await eventually("the call has failed", async () => (await records.callState(sid, callId)) === "failed");
      return callId;
    };
    expect(await ended("read_file", "untouched")).not.to.equal(await ended("read_file", "untouched"));
    expect(await ended("edit_file", "touched")).to.equal(await ended("edit_file", "touched"));
  });

  it("says that it is no longer its own when another has it", async () => {
    const lost = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    await scripts.lose(sid, lease.epoch, lost);
    expect(await session.confirm()).to.equal(false);
  });

  it("tells the end of a call again when the records have forgotten it, and never starts it a second time", async () => {
    await session.ring();
    const callId = await submit();
    await server.redis.copy(keys.call(sid, callId), "kept");
    await session.ring();
    await done(callId);
    await server.redis.copy("kept", keys.call(sid, callId), "REPLACE"); // as a Redis that lost its last writes has it
    await server.redis.persist(keys.call(sid, callId));
    await server.redis.rpush(keys.lane(sid), callId);
    await session.ring();
    await done(callId);
    expect(runs.filter((run) => run === callId)).to.have.length(1);
    expect((await records.call(sid, callId))?.outcome).to.deep.equal({ result: { seen: { a: 1 } } });
  });

  it("starts a call whose start was told in an answer that got lost, and starts it once", async () => {
    const callId = await submit();
    await scripts.next(sid, lease); // the answer that never came: create_session is running now
    await session.ring();
    await session.ring();
    await done(callId);
    expect(runs.filter((run) => run === callId)).to.have.length(1);
    expect(runs).to.have.length(2);
    expect((await records.call(sid, callId))?.outcome).to.deep.equal({ result: { seen: { a: 1 } } });
  });

  it("starts what it is offered once, and nothing that may have been before", async () => {
    await session.ring();
    const callId = await submit();
    await session.ring();
    await done(callId);
    const start = { tool: "write_file", args: '{"a":2}', msUntilDetach: 60_000, mutation: 1, queuedMs: 0, trace: "" };
    session.take({ sessionId: sid, epoch: lease.epoch, callId, start });
    const late = await submit();
    session.take({ sessionId: sid, epoch: lease.epoch, callId: newCallId(sid), start }); // an older one, forgotten here
    await done(late);
    expect(runs.filter((run) => run === callId)).to.have.length(1);
    expect(runs).to.have.length(3); // with create_session
    session.take({ sessionId: sid, epoch: lease.epoch + 1, callId: newCallId(sid), start: { ...start, mutation: 9 } });
    hasLease = false;
    session.take({ sessionId: sid, epoch: lease.epoch, callId: newCallId(sid), start: { ...start, mutation: 9 } });
    await session.confirm();
    expect(runs).to.have.length(3);
    hasLease = true;
    const offered = newCallId(sid);
    session.take({ sessionId: sid, epoch: lease.epoch, callId: offered, start: { ...start, mutation: 9 } });
    await eventually("it runs", () => runs.includes(offered));
  });

  it("answers a doorbell when its call ended, an older one when the call is rung again", async () => {
    const callId = await submit();
    const [first, second] = [session.answer(callId), session.answer(callId)];
    expect(await first).to.equal("rung again");
    expect(await second).to.equal("done");
  });

  it("ends when the records name another epoch, and writes nothing more", async () => {
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    await scripts.lose(sid, lease.epoch, to);
    const callId = await submit();
    await session.ring();
    expect(await session.answer(callId)).to.equal("gone");
    expect(runs).to.deep.equal([]);
  });
});
