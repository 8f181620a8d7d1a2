import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { PrivateRedis } from "../../compose/embedded/private-redis.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern, failureOf } from "../support/tool-client.ts";
import { useProcesses } from "../support/use-processes.ts";
import { send, type WireAnswer } from "../support/wire.ts";

const START_MS = 20_000;

/** Docker's socket under another path, from now on. */
const relayTo = async (path: string): Promise<{ close(): void }> => {
  const { socketPath: found } = new Docker().modem as unknown as { socketPath: string | (() => Promise<string>) };
  const socketPath = typeof found === "string" ? found : await found();
  const relay = createServer({ allowHalfOpen: true }, (from) => {
    const to = connect({ path: socketPath, allowHalfOpen: true });
    from.on("error", () => to.destroy()).pipe(to);
    to.on("error", () => from.destroy()).pipe(from);
  });
  await once(relay.listen(path), "listening");
  return relay;
};

describe("Docker that is not there", () => {
  const processes = useProcesses();
  let redis: PrivateRedis | undefined;
  after(() => redis?.stop());

  it("makes the worker say so and take no sessions, until it comes", async () => {
    const { folder } = processes;
    redis = await PrivateRedis.start({ folder: join(folder, "redis") });
    const socket = join(folder, "docker.sock");
    const env = {
      REDIS_URL: redis.url,
      DEPLOYMENT: `test-${randomBytes(4).toString("hex")}`,
      DOCKER_HOST: `unix://${socket}`,
      POOL_SIZE: "0",
      WORKSPACE_MB: "64",
      PLACEMENT_TIMEOUT_MS: "1000",
    };
    const worker = processes.launch("worker", env);
    const said = worker.line(/Docker/, START_MS);
    const coordinator = processes.launch("coordinator", env);
    const url = (await coordinator.line(/"url":"([^"]+)","msg":"coordinator listens"/, START_MS))[1] ?? "";
    await said;
    const readyz = (): Promise<WireAnswer> => send(`${url}/readyz`, { method: "GET" });
    await eventually("the coordinator is ready", async () => (await readyz()).status === 200);
    expect((await readyz()).json).to.deep.equal({ redis: "ok", workers: 0 });
    const client = await connectModern(`${url}/mcp`);
    expect(failureOf(await client.call("create_session"))).to.equal("NO_CAPACITY");

    const relay = await relayTo(socket);
    const workers = async (): Promise<number> => ((await readyz()).json as { workers: number }).workers;
    await eventually("the worker is there", async () => (await workers()) === 1);
    const { structured } = await client.call("run_command", { command: "echo at last" });
    expect(structured.stdout).to.equal("at last\n");
    await client.close();
    expect(await Promise.all([coordinator.stop(30_000), worker.stop(30_000)])).to.deep.equal([0, 0]);
    relay.close();
  });
});
