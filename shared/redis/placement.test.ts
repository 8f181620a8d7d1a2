import { expect } from "chai";
import { useRedis } from "../../test/support/use-redis.ts";
import { newSessionId, type SessionId } from "../ids.ts";
import { keys } from "./keys.ts";
import { Placement } from "./placement.ts";

const LIMIT = 100;
const LEASE_MS = 9_000;

describe("Placement", () => {
  const server = useRedis();
  let placement: Placement;
  beforeEach(() => {
    placement = new Placement(server.redis);
  });
  const enqueue = async (principal: string): Promise<SessionId> => {
    const sid = newSessionId();
    await placement.enqueue(sid, principal, LIMIT);
    return sid;
  };
  const take = async (worker = "w_a", load = 0) => {
    const taken = await placement.take(worker, load, 0.1, LEASE_MS);
    return taken.kind === "taken" ? taken.sessionId : taken.kind;
  };

  it("serves one principal's sessions in order and principals in turn", async () => {
    const [a1, a2, a3] = [await enqueue("a"), await enqueue("a"), await enqueue("a")];
    expect(await take()).to.equal(a1);
    const b1 = await enqueue("b");
    expect([await take(), await take(), await take(), await take()]).to.deep.equal([b1, a2, a3, "none"]);
  });

  it("gives a principal as many turns as its weight says, while others wait", async () => {
    const enqueueOf = (principal: string, weight: number) =>
      placement.enqueue(newSessionId(), principal, LIMIT, { weight });
    for (let i = 0; i < 12; i++) {
      await enqueueOf("a", 1);
      await enqueueOf("b", 3);
      await enqueueOf("c", 0.5);
    }
    const takenOf: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < 9; i++) {
      const before = await Promise.all(["a", "b", "c"].map((name) => server.redis.llen(`${keys.place}:q:${name}`)));
      await take();
      const after = await Promise.all(["a", "b", "c"].map((name) => server.redis.llen(`${keys.place}:q:${name}`)));
      for (const [j, name] of ["a", "b", "c"].entries()) takenOf[name]! += before[j]! - after[j]!;
    }
    expect(takenOf).to.deep.equal({ a: 2, b: 6, c: 1 });
  });

  it("lets nobody come first again by asking for one session after another", async () => {
    const a = [await enqueue("a"), await enqueue("a"), await enqueue("a")];
    const taken: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      if (i < 3) await enqueue("b"); // alone in its part of the line each time
      taken.push(await take());
    }
    const places = a.map((sid) => taken.indexOf(sid));
    expect(places, "every second turn at least").to.satisfy(([x, y, z]: number[]) => x! <= 1 && y! <= 3 && z! <= 5);
  });

  it("tells positions, and refuses what is too much", async () => {
    const first = newSessionId();
    expect(await placement.enqueue(first, "a", 2)).to.equal(1);
    expect(await placement.enqueue(newSessionId(), "a", 2)).to.equal(2);
    expect(await placement.enqueue(first, "a", 2), "again").to.equal(1);
    expect(await placement.enqueue(newSessionId(), "a", 2)).to.equal(-1);
  });

  it("keeps no principal out of a line that others filled, up to twice its length", async () => {
    const enqueueOf = (principal: string) => placement.enqueue(newSessionId(), principal, 2);
    expect([await enqueueOf("a"), await enqueueOf("a"), await enqueueOf("a")]).to.deep.equal([1, 2, -1]);
    expect([await enqueueOf("b"), await enqueueOf("b")]).to.deep.equal([3, -1]);
    expect([await enqueueOf("c"), await enqueueOf("d")]).to.deep.equal([4, -1]);
  });

  it("takes what lost its worker before anything new, whoever's it is, though the line is full", async () => {
    const [a1, a2] = [await enqueue("a"), await enqueue("a")];
    const [back1, back2] = [newSessionId(), newSessionId()];
    expect(await placement.enqueue(back1, "b", 1, { isReturning: true })).to.equal(3);
    expect(await placement.enqueue(back2, "b", 1, { isReturning: true })).to.equal(4);
    expect(await placement.enqueue(back2, "b", 1, { isReturning: true }), "again").to.equal(4);
    const order: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const taken = await placement.take("w_one", 0, 0.1, 9_000);
      order.push(taken.kind === "taken" && taken.sessionId);
    }
    expect(order).to.deep.equal([back1, back2, a1, a2]);
  });

  it("leaves a session to a worker that is much freer", async () => {
    await placement.beat("w_free", 0.1);
    const sid = await enqueue("a");
    expect(await take("w_full", 0.5)).to.equal("yield");
    expect(await take("w_free", 0.1)).to.equal(sid);
  });

  it("does not wait for a worker that no longer beats", async () => {
    await placement.beat("w_dead", 0);
    const sid = await enqueue("a");
    const taken = await placement.take("w_full", 0.9, 0.1, -1); // everybody's lease is over
    expect(taken).to.include({ kind: "taken", sessionId: sid });
  });

  it("gives a taken session to nobody else, until it was settled", async () => {
    const sid = await enqueue("a");
    await take();
    expect(await placement.enqueue(sid, "a", LIMIT)).to.equal(0);
    expect(await take()).to.equal("none");
    await placement.settle(sid);
    expect(await placement.enqueue(sid, "a", LIMIT)).to.equal(1);
  });

  it("finds a session that was taken and never claimed, once", async () => {
    const sid = await enqueue("a");
    await take();
    expect(await placement.takeStale()).to.deep.equal([]);
    await server.redis.hset("cg:{place}:taken", sid, 1);
    expect(await placement.takeStale()).to.deep.equal([sid]);
    expect(await placement.takeStale()).to.deep.equal([]);
  });

  it("takes out what waited too long, once", async () => {
    const sid = await enqueue("a");
    expect(await placement.takeOverdue(60_000)).to.deep.equal([]);
    expect(await placement.takeOverdue(-1)).to.deep.equal([sid]);
    expect(await placement.takeOverdue(-1)).to.deep.equal([]);
    expect(await take()).to.equal("none");
  });
});
