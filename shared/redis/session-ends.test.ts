import { expect } from "chai";
import { EVENT, started, useSession, WORKER } from "../../test/support/use-session.ts";
import { processIdOf } from "../ids.ts";
import { keys } from "./keys.ts";

describe("A session that is lost or closed", () => {
  const own = useSession();
  const { claimed, queued, submit } = own;

  it("tells a lost session's running calls from those that never started, and says so once", async () => {
    const lease = await claimed();
    const [running, waiting] = [await queued("run_command"), await queued("write_file", { key: "k", argsHash: "w" })];
    await own.scripts.next(own.sid, lease);
    const epoch = await own.scripts.lose(own.sid, lease.epoch, {
      owner: WORKER,
      state: "starting",
      notice: "lost it",
      unknown: '{"result":{"unknown":1}}',
      reset: '{"result":{"reset":1}}',
    });
    expect(epoch).to.equal(2);
    expect((await own.records.call(own.sid, running))?.state).to.equal("outcome_unknown");
    expect((await own.records.call(own.sid, waiting))?.state).to.equal("session_reset");
    expect((await own.records.process(own.sid, processIdOf(running)))?.status).to.equal("lost");
    expect((await submit("write_file", { key: "k", argsHash: "w" })).kind, "its key is free again").to.equal("queued");
    const [first, second] = [
      (await own.scripts.next(own.sid, { worker: WORKER, epoch })).calls[0]!.callId,
      await queued("read_file"),
    ];
    const lease2 = { worker: WORKER, epoch };
    await own.scripts.finish(own.sid, lease2, { callId: first, state: "done", outcome: "{}", event: EVENT });
    await own.scripts.finish(own.sid, lease2, { callId: second, state: "done", outcome: "{}", event: EVENT });
    expect((await own.records.call(own.sid, first))?.notice).to.equal("lost it: its files and processes are gone.");
    expect((await own.records.call(own.sid, second))?.notice).to.equal(undefined);
  });

  it("keeps what waits in a session that was lost before anything was changed in it", async () => {
    const epoch = await own.scripts.claim(own.sid, WORKER);
    const [create] = (await own.scripts.next(own.sid, { worker: WORKER, epoch })).calls;
    const waiting = await queued("run_command");
    const to = { owner: "", state: "queued" as const, notice: "n", unknown: "{}", reset: "{}" };
    expect(await own.scripts.lose(own.sid, epoch, to)).to.equal(2);
    const lease = { worker: "w_two", epoch: await own.scripts.claim(own.sid, "w_two") };
    expect(started(await own.scripts.next(own.sid, lease)), "starts again").to.deep.equal([create?.callId]);
    const end = { state: "done" as const, outcome: "{}", event: EVENT };
    expect(started(await own.scripts.finish(own.sid, lease, { callId: create!.callId, ...end }))).to.deep.equal([
      waiting,
    ]);
    expect((await own.records.call(own.sid, create!.callId))?.notice).to.equal(undefined);
  });

  it("answers a loss that is told twice with the same epoch, and loses nothing more", async () => {
    const lease = await claimed();
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    expect(await own.scripts.lose(own.sid, lease.epoch, to)).to.equal(2);
    expect(await own.scripts.lose(own.sid, lease.epoch, to)).to.equal(2);
    expect(await own.scripts.lose(own.sid, lease.epoch, { ...to, owner: "w_three" }), "somebody else's").to.equal(0);
  });

  it("loses controls too: a close waits for the next owner, a kill ends", async () => {
    const lease = await claimed();
    const control = { class: "control" as const };
    const [kill, close] = [await queued("kill_process", control), await queued("close_session", control)];
    await own.scripts.next(own.sid, lease);
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: '{"result":{}}', reset: "{}" };
    const epoch = await own.scripts.lose(own.sid, lease.epoch, to);
    expect((await own.records.call(own.sid, kill))?.state).to.equal("outcome_unknown");
    expect(started(await own.scripts.next(own.sid, { worker: "w_two", epoch }))).to.deep.equal([close]);
  });

  it("starts a create_session again that had left the lane when it was lost", async () => {
    const epoch = await own.scripts.claim(own.sid, WORKER);
    const [create] = (await own.scripts.next(own.sid, { worker: WORKER, epoch })).calls;
    await own.scripts.detach(own.sid, { worker: WORKER, epoch }, create!.callId);
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    const next = await own.scripts.lose(own.sid, epoch, to);
    expect(started(await own.scripts.next(own.sid, { worker: "w_two", epoch: next }))).to.deep.equal([create?.callId]);
  });

  it("lets nothing of a close behind that had detached and was lost with its session", async () => {
    const lease = await claimed();
    const close = await queued("close_session", { class: "control" });
    await own.scripts.next(own.sid, lease);
    await own.scripts.detach(own.sid, lease, close);
    const to = { owner: "w_two", state: "starting" as const, notice: "n", unknown: "{}", reset: "{}" };
    const next = { worker: "w_two", epoch: await own.scripts.lose(own.sid, lease.epoch, to) };
    expect(started(await own.scripts.next(own.sid, next))).to.deep.equal([close]);
    const end = { callId: close, state: "cancelled" as const, outcome: "{}", event: EVENT };
    await own.scripts.finish(own.sid, next, end);
    const command = await queued("run_command");
    expect((await own.scripts.next(own.sid, next)).calls.map(({ callId }) => callId)).to.deep.equal([command]);
  });

  it("lets a control go whether it had detached or not", async () => {
    const lease = await claimed();
    for (const detaches of [false, true]) {
      const kill = await queued("kill_process", { class: "control" });
      await own.scripts.next(own.sid, lease);
      if (detaches) await own.scripts.detach(own.sid, lease, kill);
      await own.scripts.cancel(own.sid, kill, "{}");
      const end = { callId: kill, state: "done" as const, outcome: "{}", event: EVENT };
      const ready = await own.scripts.finish(own.sid, lease, end);
      expect(ready, `detached: ${detaches}`).to.deep.include({ calls: [], cancels: [] });
      expect(await own.server.redis.exists(keys.detached(own.sid))).to.equal(0);
    }
  });

  it("ends every open call of a session that closes, and lets all its keys go", async () => {
    const lease = await claimed();
    const keyed = await queued("write_file", { key: "k" });
    await own.scripts.next(own.sid, lease);
    await own.scripts.finish(own.sid, lease, { callId: keyed, state: "done", outcome: "{}", event: EVENT });
    await own.server.redis.zrem(keys.calls(own.sid), keyed); // as if 1,000 newer ones had pushed it out
    const [running, waiting] = [await queued("run_command"), await queued("run_command")];
    await own.scripts.next(own.sid, lease);
    const asking = await queued("close_session", { class: "control" });
    const end = { outcome: '{"failure":{"code":"X"}}', asking, answer: '{"result":{"closed":true}}' };
    expect(await own.scripts.release(own.sid, lease.epoch, end)).to.equal(true);
    expect(await own.scripts.release(own.sid, lease.epoch, end), "again").to.equal(false);
    expect((await own.records.call(own.sid, running))?.state).to.equal("failed");
    expect((await own.records.call(own.sid, waiting))?.state).to.equal("failed");
    expect((await own.records.call(own.sid, asking))?.outcome).to.deep.equal({ result: { closed: true } });
    for (const key of await own.server.redis.keys(`${keys.session(own.sid)}*`)) {
      expect(await own.server.redis.ttl(key), key).to.be.greaterThan(0);
    }
  });
});
