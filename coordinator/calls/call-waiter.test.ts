import { create, toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import { SessionEventSchema } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import { type CallId, newCallId, newSessionId, type SessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { CallWaiter } from "./call-waiter.ts";
import { CallWatcher } from "./call-watcher.ts";

const STREAM_IDS = ["1-1", "1-2", "1-3"];

describe("CallWaiter", () => {
  const server = useRedis();
  let watcher: CallWatcher;
  let waiter: CallWaiter;
  let sid: SessionId;
  let callId: CallId;

  before(async () => {
    watcher = new CallWatcher({ subscriber: await server.connect("subscriber"), log: silentLog });
    watcher.start();
    waiter = new CallWaiter({ watcher, records: new Records(server.redis) });
  });
  after(async () => await watcher.stop());
  beforeEach(async () => {
    sid = newSessionId();
    callId = newCallId(sid);
    await server.redis.hset(keys.call(sid, callId), { tool: "run_command", state: "running", submitted_at: 1 });
    await watcher.listen(sid);
  });

  const endRecord = async () =>
    await server.redis.hset(keys.call(sid, callId), { state: "done", outcome: '{"result":{"x":1}}', notice: "news" });
  const wait = (over: Partial<Parameters<CallWaiter["wait"]>[2]> = {}) =>
    waiter.wait(sid, callId, {
      until: performance.now() + 20_000,
      isNew: true,
      progress: undefined,
      signal: undefined,
      onStillQueued: async () => {},
      ...over,
    });

  it("tells an end whose event was lost, from the record", async () => {
    const waiting = wait();
    await endRecord();
    expect(await waiting).to.deep.equal({ state: "done", outcome: { result: { x: 1 } }, notice: "news" });
  });

  it("reads the record when an event names the call and nothing more", async () => {
    const waiting = wait({ until: performance.now() + 900 }); // sooner than the record is read without an event
    await endRecord();
    await server.redis.publish(
      keys.events(sid),
      Buffer.from(toBinary(SessionEventSchema, create(SessionEventSchema, { callId }))),
    );
    expect((await waiting)?.state).to.equal("done");
  });

  it("tells an end that came before the wait at once, where that can be", async () => {
    await endRecord();
    const waiting = wait({ isNew: false, until: performance.now() + 900 });
    expect((await waiting)?.state).to.equal("done");
  });

  it("gives up when the time is over or the client left", async () => {
    expect(await wait({ until: performance.now() })).to.equal(undefined);
    expect(await wait({ signal: AbortSignal.timeout(1) })).to.equal(undefined);
    expect(await wait({ signal: AbortSignal.abort() }), "the client had left before").to.equal(undefined);
  });

  it("passes output on in order and once, although every live event was lost", async () => {
    const seen: string[] = [];
    const progress = {
      output: (data: Buffer) => seen.push(data.toString()),
      skipped: () => {},
      queued: () => {},
      isFull: false,
      onRoom: undefined,
    };
    for (const id of STREAM_IDS)
      await server.redis.xadd(
        keys.output(sid, callId.replace("call", "proc") as never),
        id,
        "s",
        "1",
        "o",
        "0",
        "d",
        id,
      );
    const waiting = wait({ progress });
    await endRecord();
    await waiting;
    expect(seen).to.deep.equal(STREAM_IDS);
  });
});
