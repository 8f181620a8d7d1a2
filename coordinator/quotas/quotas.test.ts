import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { createSession, findTool } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, newCallId, newSessionId, type SessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { eventually } from "../../test/support/eventually.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { Quotas } from "./quotas.ts";

const run = findTool("run_command")!;
const HOUR_MS = 3_600_000;

describe("Quotas of two replicas", () => {
  const server = useRedis();
  const folder = mkdtempSync(join(tmpdir(), "codegen-mcp-quotas-"));
  const path = join(folder, "quotas.json");
  const replicas: Quotas[] = [];
  after(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.stop()));
  });
  const set = (limits: object): void => writeFileSync(path, JSON.stringify({ principals: { ann: limits } }));
  const start = async (limits: object): Promise<[Quotas, Quotas]> => {
    set(limits);
    for (let i = 0; i < 2; i++) {
      const redis = await server.connect("failFast");
      const replica = new Quotas({ redis, records: new Records(redis), log: silentLog }, path);
      await replica.load();
      replica.start();
      replicas.push(replica);
    }
    return [replicas[0]!, replicas[1]!];
  };
  const newCall = (): CallId => newCallId(newSessionId());
  /** What of many at once, on both replicas, is let through; the rest must be refused for this reason. */
  const admitted = async <T>(asked: readonly T[], admit: (one: T, replica: Quotas) => Promise<void>): Promise<T[]> => {
    const settled = await Promise.allSettled(asked.map((one, i) => admit(one, replicas[i % 2]!)));
    for (const result of settled) if (result.status === "rejected") expectExceeded(result.reason);
    return asked.filter((_, i) => settled[i]?.status === "fulfilled");
  };
  const expectExceeded = (error: unknown): ToolFailure => {
    expect(error).to.be.instanceOf(ToolFailure);
    const failure = error as ToolFailure;
    expect(failure.code).to.equal("QUOTA_EXCEEDED");
    expect(failure.isRetryable).to.equal(true);
    expect(failure.retryAfterMs).to.be.above(0);
    expect(failure.toRecord()).to.have.property("retry_after_ms", failure.retryAfterMs);
    return failure;
  };
  const refusalOf = async (work: Promise<void>): Promise<ToolFailure> =>
    expectExceeded(await work.then(() => "let through").catch((error: unknown) => error));
  const setState = (call: CallId, state: string): Promise<number> =>
    server.redis.hset(keys.call(`ses_${call.split("_")[1]}` as SessionId, call), { state });

  describe("on open calls", () => {
    const admitAll = (calls: CallId[]): Promise<CallId[]> =>
      admitted(calls, (call, replica) => replica.admitCall("ann", run, call));

    it("are kept exactly, however many come at once", async () => {
      await start({ open_calls: 7 });
      const calls = Array.from({ length: 100 }, newCall);
      expect(await admitAll(calls)).to.have.length(7);
    });

    it("give a place back when a call has ended, whichever replica saw it, and when it was not submitted", async () => {
      const [here, there] = await start({ open_calls: 1 });
      const [first, second, third, fourth] = [newCall(), newCall(), newCall(), newCall()];
      await here.admitCall("ann", run, first);
      await refusalOf(there.admitCall("ann", run, second));
      await setState(first, "running");
      await refusalOf(there.admitCall("ann", run, second));
      await setState(first, "done"); // by its worker; `here` may be dead
      await there.admitCall("ann", run, second);
      there.ended("ann", second);
      await there.admitCall("ann", run, third);
      there.withdraw("ann", third);
      await eventually("it is withdrawn", () => here.admitCall("ann", run, fourth).then(() => true));
    });

    it("give a place back that a replica took and died before it submitted the call", async () => {
      const [here, there] = await start({ open_calls: 1 });
      const lost = newCall();
      await here.admitCall("ann", run, lost);
      await refusalOf(there.admitCall("ann", run, newCall()));
      await server.redis.zadd(`${keys.quota("ann")}:calls`, Date.now() - 60_000, lost); // as a minute later
      await there.admitCall("ann", run, newCall());
    });

    it("hold nobody who has none, and cost them nothing", async () => {
      const [here] = await start({ open_calls: 1 });
      for (let i = 0; i < 20; i++) await here.admitCall("bob", run, newCall());
      expect(await server.redis.keys("*bob*")).to.deep.equal([]);
    });

    it("count a call once that is sent again", async () => {
      const [here, there] = await start({ open_calls: 2 });
      const call = newCall();
      for (const replica of [here, there, here]) await replica.admitCall("ann", run, call);
      await there.admitCall("ann", run, newCall());
    });
  });

  it("on calls a minute let through so many at once, and one more each part of a minute", async () => {
    const PER_MINUTE = 6;
    await start({ calls_per_minute: PER_MINUTE });
    const clock = async (): Promise<number> => Number((await server.redis.time())[0]) * 1_000;
    const begun = await clock();
    const through = await admitted(Array.from({ length: 60 }, newCall), (call, replica) =>
      replica.admitCall("ann", run, call),
    );
    const refilled = Math.ceil(((await clock()) + 1_000 - begun) / (60_000 / PER_MINUTE));
    expect(through.length).to.be.within(PER_MINUTE, PER_MINUTE + refilled);
    const failure = await refusalOf(replicas[0]!.admitCall("ann", createSession));
    expect(failure.retryAfterMs, "until the next").to.be.at.most(60_000 / PER_MINUTE);
    expect(failure.hint).to.match(/may be repeated in \d+ s/);
  });

  it("on cpu time refuse until the hour is over, and ask workers to count it", async () => {
    const [here, there] = await start({ cpu_seconds_per_hour: 10 });
    await eventually("workers are asked", () => server.redis.exists(keys.cpuCounted));
    await here.admitCall("ann", run, newCall());
    const hour = Math.floor(Date.now() / HOUR_MS);
    for (const at of [hour, hour + 1]) await server.redis.set(`${keys.quota("ann")}:cpu:${at}`, 10_000);
    const failure = await refusalOf(there.admitCall("ann", run, newCall()));
    expect(failure.retryAfterMs).to.be.at.most(HOUR_MS);
    await there.admitCall("bob", run, newCall());
  });

  describe("on sessions", () => {
    it("are kept exactly, however many come at once, and give a place back when one is closed", async () => {
      const [here] = await start({ sessions: 3 });
      const asked = Array.from({ length: 40 }, newSessionId);
      const sessions = await admitted(asked, (sid, replica) => replica.admitSession("ann", sid));
      expect(sessions).to.have.length(3);
      await server.redis.hset(keys.session(sessions[0]!), { state: "ready" });
      await refusalOf(here.admitSession("ann", newSessionId()));
      await server.redis.hset(keys.session(sessions[0]!), { state: "closed" });
      await here.admitSession("ann", newSessionId());
      await refusalOf(here.admitSession("ann", newSessionId()));
    });
  });

  it("are those of the file as it is now", async () => {
    const [here] = await start({ open_calls: 0 });
    await refusalOf(here.admitCall("ann", run, newCall()));
    set({ open_calls: 1, weight: 5 });
    await eventually("the new limit holds", () => here.admitCall("ann", run, newCall()).then(() => true));
    expect(here.weightOf("ann")).to.equal(5);
    expect(here.weightOf("bob")).to.equal(1);
  });
});
