import { expect } from "chai";
import { newCallId, newSessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { SessionScripts } from "../../shared/redis/session-scripts.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const TIMEOUT_MS = 60_000;

describe("A session that its worker owns and does not hold", () => {
  const cluster = useCluster();
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());

  for (const [what, isReady] of [
    ["whose claim's answer was lost", false],
    ["whose loss could not be recorded", true],
  ] as const) {
    it(`${what} is found, and its calls run`, async function () {
      this.timeout(TIMEOUT_MS);
      const { redis } = cluster;
      const [worker] = (await redis.smembers(keys.workers)) as [string];
      const scripts = new SessionScripts(redis);
      const session_id = newSessionId();
      const create = { callId: newCallId(session_id), args: "{}", waitMs: 1_000, key: "", argsHash: "h" };
      const settings = { principal: "anonymous", memory_mb: 256, cpus: 1, idle_ms: 600_000, env: "{}" };
      await scripts.open(session_id, create, settings);
      await redis.sadd(keys.workerSessions(worker), session_id);
      const epoch = await scripts.claim(session_id, worker);
      if (isReady) await scripts.ready(session_id, { worker, epoch }, { workdir: "/", image: "python" });
      const ran = await client.call("run_command", { session_id, command: "echo ran", wait_ms: 50_000 });
      expect(ran.structured, ran.text).to.include({ stdout: "ran\n" });
      await client.call("close_session", { session_id });
    });
  }
});
