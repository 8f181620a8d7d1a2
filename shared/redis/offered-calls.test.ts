import { expect } from "chai";
import type { Redis } from "ioredis";
import { eventually } from "../../test/support/eventually.ts";
import { EVENT, started, useSession, WORKER } from "../../test/support/use-session.ts";
import { processIdOf } from "../ids.ts";
import { keys } from "./keys.ts";
import { type Offer, parseOffer } from "./session-scripts.ts";

describe("A call that is offered", () => {
  const own = useSession();
  const { claimed, queued } = own;

  let lease: { worker: string; epoch: number };
  let heard: Offer[];
  let listener: Redis;

  beforeEach(async () => {
    lease = await claimed();
    await own.scripts.ready(own.sid, lease, {});
    heard = [];
    listener = own.server.redis.duplicate();
    await listener.subscribe(keys.offer(WORKER));
    listener.on("message", (_, message) => heard.push(parseOffer(message)));
  });
  afterEach(() => listener.disconnect());

  it("runs from its submission, and is told whole to the owner", async () => {
    const callId = await queued("run_command", { silent: [] });
    expect(await own.records.callState(own.sid, callId)).to.equal("running");
    expect(await own.records.process(own.sid, processIdOf(callId))).to.include({ status: "running" });
    await eventually("the owner hears of it", () => heard.length === 1);
    expect(heard[0]).to.deep.include({ sessionId: own.sid, epoch: lease.epoch, callId });
    expect(heard[0]!.start).to.include({ tool: "run_command", args: '{"a":1}', mutation: 1 });
    const { calls } = await own.scripts.next(own.sid, lease);
    expect(calls, "the owner that missed it finds it").to.deep.equal([{ callId }]);
  });

  it("waits to be asked for where it is not alone, or where its owner may not hear it", async () => {
    const large = `"${"x".repeat(20_000)}"`;
    for (const over of [{ silent: undefined }, { silent: ["w_other", WORKER] }, { silent: [], args: large }]) {
      const callId = await queued("run_command", over);
      expect(await own.records.callState(own.sid, callId), JSON.stringify(over).slice(0, 60)).to.equal("queued");
      expect(started(await own.scripts.next(own.sid, lease))).to.deep.equal([callId]);
      await own.scripts.finish(own.sid, lease, { callId, state: "done", outcome: "{}", event: EVENT });
    }
    const first = await queued("run_command", { silent: [] });
    const behind = await queued("run_command", { silent: [] });
    expect(await own.records.callState(own.sid, behind), "behind another").to.equal("queued");
    await own.scripts.finish(own.sid, lease, { callId: first, state: "done", outcome: "{}", event: EVENT });
    await own.scripts.finish(own.sid, lease, { callId: behind, state: "done", outcome: "{}", event: EVENT });
    await own.scripts.pause(own.sid, lease);
    expect(
      await own.records.callState(own.sid, await queued("run_command", { silent: [] })),
      "for the next owner",
    ).to.equal("queued");
    expect(heard.map(({ callId }) => callId)).to.deep.equal([first]);
  });

  it("waits where nobody listens", async () => {
    await listener.unsubscribe(keys.offer(WORKER));
    expect(await own.records.callState(own.sid, await queued("run_command", { silent: [] }))).to.equal("queued");
  });
});
