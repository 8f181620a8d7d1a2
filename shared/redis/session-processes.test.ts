import { expect } from "chai";
import { EVENT, useSession } from "../../test/support/use-session.ts";
import { processIdOf } from "../ids.ts";
import { keys } from "./keys.ts";

const PROCESS_END = { status: "exited", exitCode: 0, signal: "", durationMs: 5, bytes: 0, logBytes: 0 };

describe("Processes in the records", () => {
  const own = useSession();
  const { claimed, queued } = own;

  it("keeps a chunk that was sent twice once, and evicts the oldest bytes past the bound", async () => {
    const lease = await claimed();
    const id = await queued("run_command");
    await own.scripts.next(own.sid, lease);
    const chunk = (sequence: number) => ({
      callId: id,
      sequence,
      offset: (sequence - 1) * 4,
      isStderr: sequence === 2,
      data: Buffer.from(`out${sequence}`),
      event: EVENT,
    });
    for (const sequence of [1, 1, 2, 3]) await own.scripts.append(own.sid, lease, chunk(sequence), 8);
    const kept = await own.records.output(own.sid, id, undefined, 10);
    expect(kept.map(({ id: at, isStderr, data }) => [at, isStderr, data.toString()])).to.deep.equal([
      ["1-2", true, "out2"],
      ["1-3", false, "out3"],
    ]);
    expect(await own.records.process(own.sid, processIdOf(id))).to.include({ evictedBefore: 4, bytes: 12 });
  });

  it("counts the processes that run, whatever became of their calls", async () => {
    const lease = await claimed();
    const callId = await queued("run_command");
    await own.scripts.next(own.sid, lease);
    await own.scripts.finish(own.sid, lease, { callId, state: "done", outcome: '{"result":{}}', event: EVENT });
    expect(await own.records.runningProcesses(own.sid), "it runs in the background").to.equal(1);
    await own.scripts.endProcess(own.sid, lease, callId, PROCESS_END);
    expect(await own.records.runningProcesses(own.sid)).to.equal(0);
  });

  it("records the end of a call's process with the call's", async () => {
    const lease = await claimed();
    const callId = await queued("run_command");
    await own.scripts.next(own.sid, lease);
    const end = { callId, state: "done" as const, outcome: '{"result":{}}', event: EVENT };
    await own.scripts.finish(own.sid, lease, { ...end, process: { ...PROCESS_END, exitCode: 3, bytes: 12 } });
    expect(await own.records.process(own.sid, processIdOf(callId))).to.include({
      status: "exited",
      exitCode: 3,
      bytes: 12,
    });
    expect(await own.records.runningProcesses(own.sid)).to.equal(0);
  });

  it("lets a process's output go with its record, once it ended", async () => {
    const lease = await claimed();
    const callId = await queued("run_command");
    await own.scripts.next(own.sid, lease);
    const chunk = { callId, sequence: 1, offset: 0, isStderr: false, data: Buffer.from("abc"), event: EVENT };
    await own.scripts.append(own.sid, lease, chunk, 100);
    await own.scripts.endProcess(own.sid, lease, callId, { ...PROCESS_END, bytes: 3 });
    const found = await own.server.redis.keys(`${keys.process(own.sid, processIdOf(callId))}*`);
    expect(found).to.have.lengthOf(2);
    for (const key of found) expect(await own.server.redis.ttl(key), key).to.be.greaterThan(0);
  });

  it("knows the process of any tool from when it is said to start, once", async () => {
    const lease = await claimed();
    const callId = await queued("run_tests");
    await own.scripts.next(own.sid, lease);
    expect((await own.records.call(own.sid, callId))?.hasProcess).to.equal(false);
    expect(await own.records.process(own.sid, processIdOf(callId)), "it may end without one").to.equal(undefined);
    await own.scripts.beginProcess(own.sid, lease, callId);
    expect(await own.records.runningProcesses(own.sid)).to.equal(1);
    await own.scripts.endProcess(own.sid, lease, callId, PROCESS_END);
    await own.scripts.beginProcess(own.sid, lease, callId); // sent again
    expect(await own.records.process(own.sid, processIdOf(callId))).to.include({ status: "exited" });
    expect((await own.records.call(own.sid, callId))?.hasProcess).to.equal(true);
    expect(await own.records.runningProcesses(own.sid)).to.equal(0);
  });
});
