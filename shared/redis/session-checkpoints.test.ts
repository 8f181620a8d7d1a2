import { expect } from "chai";
import { EVENT, useSession, WORKER } from "../../test/support/use-session.ts";
import { type CallId, newCheckpointId } from "../ids.ts";
import { keys } from "./keys.ts";
import { FencedError } from "./session-scripts.ts";

describe("A session with checkpoints", () => {
  const own = useSession();
  const { claimed, queued } = own;

  const LOSS = { owner: "", state: "queued" as const, notice: "lost", unknown: "{}", reset: "{}" };
  const fields = (name = "") => ({ principal: "ann", name, layers: "a b", objects: "a b", time: "T", covered: 1 });
  /** A mutating call, from its start to its end. */
  const changed = async (lease: Awaited<ReturnType<typeof claimed>>): Promise<CallId> => {
    const callId = await queued("write_file");
    await own.scripts.next(own.sid, lease);
    await own.scripts.finish(own.sid, lease, { callId, state: "done", outcome: "{}", event: EVENT });
    return callId;
  };
  const point = async (lease: Awaited<ReturnType<typeof claimed>>, covered: number, more = {}) => {
    const id = newCheckpointId(own.sid);
    const to = { covered, isMoving: false, undone: 0, fields: fields(), ...more };
    return { id, gone: await own.scripts.checkpoint(own.sid, lease, id, to) };
  };

  it("keeps what waits where the checkpoint covers all that was changed, and loses no effects", async () => {
    const lease = await claimed();
    await changed(lease);
    const { id } = await point(lease, 1);
    const waiting = await queued("write_file");
    expect(await own.scripts.lose(own.sid, lease.epoch, LOSS)).to.equal(2);
    expect((await own.records.call(own.sid, waiting))?.state).to.equal("queued");
    expect(await own.records.session(own.sid)).to.deep.include({ checkpoint: id, lost: [] });
    expect(await own.server.redis.hget(keys.session(own.sid), "notice")).to.match(
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
      await own.scripts.lose(own.sid, lease.epoch, LOSS);
      expect((await own.records.call(own.sid, waiting))?.state).to.equal("session_reset");
      expect((await own.records.call(own.sid, second))?.mutation).to.equal(2);
      expect((await own.records.session(own.sid))?.lost).to.deep.equal(lost);
      expect(await own.server.redis.hget(keys.session(own.sid), "notice")).to.match(
        /what was changed after it is gone/,
      );
    });
  }

  it("resets what waits behind a call that ran, however new the checkpoint", async () => {
    const lease = await claimed();
    const running = await queued("write_file");
    await own.scripts.next(own.sid, lease);
    await point(lease, 1);
    const waiting = await queued("write_file");
    await own.scripts.lose(own.sid, lease.epoch, LOSS);
    expect((await own.records.call(own.sid, running))?.state).to.equal("outcome_unknown");
    expect((await own.records.call(own.sid, waiting))?.state).to.equal("session_reset");
  });

  it("says of a loss that nobody was told of yet, too, that something is gone", async () => {
    const lease = await claimed();
    await changed(lease);
    await point(lease, 1);
    await changed(lease);
    await own.scripts.lose(own.sid, lease.epoch, LOSS);
    const next = { worker: WORKER, epoch: await own.scripts.claim(own.sid, WORKER) };
    const { id } = await point(next, 2);
    await own.scripts.lose(own.sid, next.epoch, LOSS);
    expect(await own.server.redis.hget(keys.session(own.sid), "notice"), "nothing was lost this time")
      .to.include(id)
      .and.to.include("what was changed after it is gone");
  });

  it("says that something is gone though an earlier loss, of nothing, was not told", async () => {
    const lease = await claimed();
    await changed(lease);
    await point(lease, 1);
    await own.scripts.lose(own.sid, lease.epoch, LOSS);
    const next = { worker: WORKER, epoch: await own.scripts.claim(own.sid, WORKER) };
    await queued("write_file");
    await own.scripts.next(own.sid, next);
    await own.scripts.lose(own.sid, next.epoch, LOSS);
    expect(await own.server.redis.hget(keys.session(own.sid), "notice")).to.include(
      "what was changed after it is gone",
    );
  });

  it("for a session that stands already changes nothing of it", async () => {
    const lease = await claimed();
    await point(lease, 0);
    await own.scripts.pinCheckpoint(own.sid, newCheckpointId(own.sid), fields());
    expect(await own.server.redis.ttl(keys.checkpoints(own.sid))).to.equal(-1);
    expect(await own.records.checkpoints(own.sid)).to.have.length(1);
  });

  it("is pointed to by its owner only, and sent twice it stands once", async () => {
    const lease = await claimed();
    const to = { covered: 0, isMoving: false, undone: 0, fields: fields() };
    const id = newCheckpointId(own.sid);
    await own.scripts.checkpoint(own.sid, lease, id, to);
    await own.scripts.checkpoint(own.sid, lease, id, to);
    expect((await own.records.checkpoints(own.sid)).map((one) => one.id)).to.deep.equal([id]);
    const late = own.scripts.checkpoint(own.sid, { worker: "w_two", epoch: 1 }, newCheckpointId(own.sid), to);
    expect(await late.catch((error) => error)).to.be.instanceOf(FencedError);
  });

  it("goes when three newer automatic ones stand; a named one stays, also after the session", async () => {
    const lease = await claimed();
    const { id: named } = await point(lease, 0, { fields: fields("mine") });
    const { id: oldest } = await point(lease, 0);
    for (let i = 0; i < 2; i++) expect((await point(lease, 0)).gone).to.deep.equal([]);
    const { id: newest, gone } = await point(lease, 0);
    expect(gone).to.deep.equal([oldest]);
    await own.scripts.release(own.sid, lease.epoch, { outcome: "{}" });
    expect(await own.server.redis.ttl(keys.checkpoint(own.sid, newest))).to.be.within(86_000, 86_400);
    expect(await own.server.redis.ttl(keys.checkpoint(own.sid, named))).to.equal(-1);
  });

  it("is deleted for its principal, though a session that lives may still come back from it", async () => {
    const lease = await claimed();
    const { id: older } = await point(lease, 0, { fields: fields("older") });
    const { id } = await point(lease, 0, { fields: fields("mine") });
    expect(await own.scripts.deleteCheckpoint(own.sid, id, "bob")).to.equal(false);
    expect(await own.scripts.deleteCheckpoint(own.sid, older, "ann")).to.equal(true);
    expect(await own.scripts.deleteCheckpoint(own.sid, id, "ann")).to.equal(true);
    expect(await own.scripts.deleteCheckpoint(own.sid, id, "ann"), "again").to.equal(false);
    expect(await own.records.checkpoints(own.sid)).to.deep.equal([]);
    expect((await own.records.newestCheckpoint((await own.records.session(own.sid))!))?.layers).to.deep.equal([
      "a",
      "b",
    ]);
  });
});
