import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { keys } from "../shared/redis/keys.ts";
import { SessionScripts } from "../shared/redis/session-scripts.ts";
import { eventually } from "../test/support/eventually.ts";
import { silentLog, useRedis } from "../test/support/use-redis.ts";
import type { SessionOpener } from "./calls/session-opener.ts";
import { WorkerReaper } from "./worker-reaper.ts";

const LEASE_MS = 500;
/** Longer than a lease, and than the reaper takes for one stretch of answers. */
const AWAY_MS = 2_500;
const WORKER = "w_still";

/** Looks when it is told to. */
class ManualReaper extends WorkerReaper {
  look(): Promise<void> {
    return this.pass();
  }
}

describe("WorkerReaper", () => {
  const server = useRedis();
  let reaper: ManualReaper;
  beforeEach(async () => {
    await server.redis.sadd(keys.workers, WORKER);
    await server.redis.hset(keys.worker(WORKER), "beat", 1);
    const { redis } = server;
    const opener = undefined as unknown as SessionOpener; // there are no sessions to place again
    const deps = {
      redis,
      queueRedis: redis,
      scripts: new SessionScripts(redis),
      opener,
      metrics: { workerLost: () => {} },
      log: silentLog,
    };
    reaper = new ManualReaper(deps, LEASE_MS);
    await reaper.look();
  });
  const isReaped = async (): Promise<boolean> => (await server.redis.sismember(keys.workers, WORKER)) === 0;

  it("reaps a worker whose beat stands still for a lease in which Redis answered", async () => {
    expect(reaper.silentWorkers, "calls may be offered to it").to.deep.equal([]);
    await reaper.look();
    expect(await isReaped()).to.equal(false);
    await eventually("it is silent", async () => {
      await reaper.look();
      return reaper.silentWorkers?.includes(WORKER);
    });
    await eventually("it is reaped", async () => {
      await reaper.look();
      return await isReaped();
    });
  });

  it("reaps nobody for a time in which Redis did not answer, however its answers come", async () => {
    server.server.signal("SIGSTOP");
    const hanging = reaper.look();
    await sleep(AWAY_MS); // what did not happen for so long has no signal
    expect(reaper.silentWorkers, "nobody knows of anybody").to.equal(undefined);
    server.server.signal("SIGCONT");
    await hanging;
    expect(await isReaped()).to.equal(false);
  });

  it("leaves a worker alone that beats", async () => {
    const until = performance.now() + 3 * LEASE_MS;
    while (performance.now() < until) {
      await server.redis.hincrby(keys.worker(WORKER), "beat", 1);
      await reaper.look();
    }
    expect(await isReaped()).to.equal(false);
  });
});
