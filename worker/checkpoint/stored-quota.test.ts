import { expect } from "chai";
import { checkpointFields } from "../../shared/checkpoint-record.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CheckpointId, newCheckpointId, newSessionId, sessionOf } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import type { Sink } from "./pack-writer.ts";
import { StoredQuota } from "./stored-quota.ts";

const NOWHERE: Sink = { put: async () => "" };
const KIB = 1_024;

describe("StoredQuota", () => {
  const server = useRedis();
  let records: Records;
  let workers: [StoredQuota, StoredQuota];
  before(async () => {
    records = new Records(server.redis);
    const make = async () => new StoredQuota({ redis: await server.connect(), log: silentLog });
    workers = [await make(), await make()];
  });
  const allow = async (bytes: number) => await server.redis.set(`${keys.quota("ann")}:stored:most`, bytes);
  const newId = async (): Promise<CheckpointId> => {
    const sid = newSessionId();
    await server.redis.hset(keys.session(sid), { epoch: 1, state: "ready" });
    return newCheckpointId(sid);
  };
  const point = async (id: CheckpointId, storedBytes: number): Promise<void> => {
    const sid = sessionOf(id);
    const record = { id, principal: "ann", sessionId: sid, name: "x", createdAt: Date.now(), storedBytes };
    const rest = { files: 0, bytes: 0, layers: ["l"], objects: ["l"], generation: "", scan: "0", covered: 0 };
    await server.redis.zadd(keys.principalCheckpoints("ann"), Date.now(), id);
    await server.redis.hset(keys.checkpoint(sid, id), checkpointFields({ ...record, ...rest }));
  };
  /** A checkpoint as a worker writes one, in objects of 1 KiB. */
  const write = async (worker: StoredQuota, kib: number, id?: CheckpointId, atEnd = async () => {}): Promise<void> => {
    const own = id ?? (await newId());
    await worker.within({ id: own, principal: "ann", epoch: 1 }, NOWHERE, async (store) => {
      await store.expect?.(kib * KIB);
      for (let i = 0; i < kib; i++) await store.put(Buffer.alloc(KIB));
      await atEnd();
      await point(own, kib * KIB);
    });
  };
  const stored = async (): Promise<number> =>
    (await records.checkpointsOf("ann")).reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const refusal = async (work: Promise<void>): Promise<void> => {
    const error = await work.then(() => "let through").catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ToolFailure);
    expect(error).to.include({ code: "QUOTA_EXCEEDED", isRetryable: true });
    expect((error as ToolFailure).retryAfterMs).to.be.above(0);
  };

  it("lets many at once on two workers store all that a principal may, and never more", async () => {
    await allow(20 * KIB);
    const all = await Promise.allSettled(Array.from({ length: 60 }, (_, i) => write(workers[i % 2]!, 3)));
    for (const one of all) if (one.status === "rejected") await refusal(Promise.reject(one.reason));
    expect(all.filter(({ status }) => status === "fulfilled")).to.have.length(6);
    expect(await stored()).to.equal(18 * KIB);
    await write(workers[0], 2);
    await refusal(write(workers[1], 1));
    expect(await server.redis.hlen(`${keys.quota("ann")}:stored`), "nothing stays reserved").to.equal(0);
  });

  it("holds who has not said how much is to come to what is left, object by object", async () => {
    await allow(2 * KIB);
    let count = 0;
    const id = await newId();
    const endless = workers[0].within({ id, principal: "ann", epoch: 1 }, NOWHERE, async ({ put }) => {
      for (; count < 10; count++) await put(Buffer.alloc(KIB));
    });
    await refusal(endless);
    expect(count).to.equal(2);
  });

  it("counts what is being written elsewhere, until it was given up", async () => {
    await allow(4 * KIB);
    const failing = write(workers[0], 3, undefined, async () => {
      await refusal(write(workers[1], 3));
      throw new Error("the store is away");
    });
    expect(await failing.catch((error: Error) => error.message)).to.equal("the store is away");
    await write(workers[1], 3);
  });

  it("counts what a dead worker reserved until its session is in another epoch", async () => {
    await allow(4 * KIB);
    const id = await newId();
    const dies = new Promise<void>((reserved) => {
      void write(workers[0], 3, id, () => {
        reserved();
        return new Promise(() => {});
      });
    });
    await dies;
    await refusal(write(workers[1], 3));
    await server.redis.hset(keys.session(sessionOf(id)), { epoch: 2 });
    await write(workers[1], 3);
  });

  it("counts once what is recorded and whose worker died before it ended its reservation", async () => {
    await allow(4 * KIB);
    const id = await newId();
    const dies = new Promise<void>((reserved) => {
      void write(workers[0], 2, id, async () => {
        await point(id, 2 * KIB);
        reserved();
        await new Promise(() => {});
      });
    });
    await dies;
    await write(workers[1], 2);
    expect(await stored()).to.equal(4 * KIB);
  });

  it("asks nothing more of who has no limit, and leaves nothing", async () => {
    await write(workers[0], 3);
    expect(await server.redis.keys("*{p:ann}*")).to.deep.equal([]);
  });
});
