import { expect } from "chai";
import { keys } from "../../shared/redis/keys.ts";
import { eventually } from "../../test/support/eventually.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { HeirWatch } from "./heir-watch.ts";

const LEASE_MS = 500;

/** Looks when it is told to. */
class ManualWatch extends HeirWatch {
  look(): Promise<void> {
    return this.pass();
  }
}

describe("HeirWatch", () => {
  const server = useRedis();
  const told: number[] = [];
  let beat = 0;
  let watch: ManualWatch;
  beforeEach(async () => {
    const { redis } = server;
    told.length = 0;
    await redis.sadd(keys.workers, "w_own", "w_silent", "w_other");
    await redis.sadd(keys.workerSessions("w_silent"), "a", "b", "c");
    await redis.sadd(keys.workerSessions("w_other"), "d");
    await redis.hset(keys.worker("w_silent"), "beat", 1);
    const deps = { redis, freeSlots: () => 10, expect: (count: number) => void told.push(count), log: silentLog };
    watch = new ManualWatch(deps, { worker: "w_own", leaseMs: LEASE_MS });
  });
  const look = async (): Promise<void> => {
    await server.redis.hset(keys.worker("w_other"), "beat", ++beat);
    await watch.look();
  };
  const until = (count: number) =>
    eventually(`${count} are expected`, async () => {
      await look();
      return told.at(-1) === count;
    });

  it("expects this worker's share of a silent worker's sessions, and none a lease after it was reaped", async () => {
    await until(2);
    await server.redis.srem(keys.workers, "w_silent");
    await until(0);
    expect(told).to.deep.equal([2, 0]);
  });

  it("expects nothing of workers that beat, or that let their successor take over", async () => {
    await server.redis.hset(keys.worker("w_silent"), "lease_ms", 30_000);
    await server.redis.sadd(keys.workers, "w_third");
    await server.redis.sadd(keys.workerSessions("w_third"), "e", "f", "g", "h", "i");
    await until(3); // of the third, that says nothing at all
    expect(told).to.deep.equal([3]);
  });
});
