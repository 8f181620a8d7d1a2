import { expect } from "chai";
import { useRedis } from "../test/support/use-redis.ts";
import { newCheckpointId, newSessionId } from "./ids.ts";
import { Records } from "./records.ts";
import { keys } from "./redis/keys.ts";

describe("Records", () => {
  const server = useRedis();

  it("forget a checkpoint's id in its principal's index when it is gone, not when its record is about to come", async () => {
    const records = new Records(server.redis);
    const [coming, gone] = [newCheckpointId(newSessionId()), newCheckpointId(newSessionId())];
    const index = keys.principalCheckpoints("ann");
    await server.redis.zadd(index, Date.now(), coming, Date.now() - 3_600_000, gone);
    expect(await records.checkpointsOf("ann")).to.deep.equal([]);
    expect(await server.redis.zrange(index, "0", "-1")).to.deep.equal([coming]);
  });
});
