import { expect } from "chai";
import Docker from "dockerode";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { execIn } from "../support/exec-in.ts";
import { begin, connectModern, failureOf } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { send } from "../support/wire.ts";

describe("A Redis that evicts", () => {
  const cluster = useCluster();
  afterEach(() => cluster.redis.config("SET", "maxmemory-policy", "noeviction"));

  it("is told to whoever calls and to whoever operates, and what runs goes on", async () => {
    const [url = ""] = cluster.stack.urls;
    const client = await connectModern(url);
    const readyz = (of = url) => send(new URL("/readyz", of).href, { method: "GET" });
    const { session_id } = (await client.call("create_session")).structured;
    const { answer: running } = await begin(client, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });

    await cluster.redis.config("SET", "maxmemory-policy", "allkeys-lru");
    const unready = await eventually("the coordinator says so", async () => {
      const said = await readyz();
      return said.status === 503 ? said : undefined;
    });
    expect(unready.json).to.include({ redis: "evicts" });
    const refused = await client.call("run_command", { session_id, command: "true" });
    expect(failureOf(refused)).to.equal("STORE_UNAVAILABLE");
    expect(refused.structured.hint).to.match(/noeviction/);

    await execIn(new Docker().getContainer(await cluster.containerOf(session_id)), "touch go");
    expect((await running).structured).to.include({ exit_code: 0, stdout: "started\nwent on\n" });

    await cluster.redis.config("SET", "maxmemory-policy", "noeviction");
    for (const each of cluster.stack.urls)
      await eventually(`${each} takes calls again`, async () => (await readyz(each)).status === 200);
    expect((await client.call("run_command", { session_id, command: "true" })).structured.exit_code).to.equal(0);
    await client.close();
  });
});
