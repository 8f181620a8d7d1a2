import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { expect } from "chai";
import { freePort, PrivateRedis } from "../../compose/embedded/private-redis.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, failureOf } from "../support/tool-client.ts";
import { containersOf } from "../support/use-cluster.ts";
import { useProcesses } from "../support/use-processes.ts";
import { send, type WireAnswer } from "../support/wire.ts";

const START_MS = 20_000;
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } },
};

describe("Redis that is not there", () => {
  const processes = useProcesses();
  const password = "not-there-yet";
  let port: number;
  let redis: PrivateRedis | undefined;
  let env: Record<string, string>;
  beforeEach(async () => {
    port = await freePort();
    const DEPLOYMENT = `test-${randomBytes(4).toString("hex")}`;
    env = { REDIS_URL: `redis://:${password}@127.0.0.1:${port}`, DEPLOYMENT, POOL_SIZE: "0", WORKSPACE_MB: "64" };
  });
  after(() => redis?.stop());

  it("makes every process say so at start and wait; they work as soon as it comes", async () => {
    const coordinator = processes.launch("coordinator", env);
    const listening = coordinator.line(/"url":"([^"]+)","msg":"coordinator listens"/, START_MS);
    const complaint = coordinator.line(/Redis does not answer/, START_MS);
    const worker = processes.launch("worker", env);
    await Promise.all([complaint, worker.line(/Redis does not answer/, START_MS)]);
    const url = (await listening)[1] ?? "";
    const get = (path: string): Promise<WireAnswer> => send(url + path, { method: "GET" });
    expect((await get("/healthz")).status).to.equal(200);
    const unready = await get("/readyz");
    expect(unready.status).to.equal(503);
    expect(unready.json).to.include({ redis: "unreachable" });
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const refused = await send(`${url}/mcp`, { headers, body: JSON.stringify(INITIALIZE) });
    expect(refused.status).to.equal(503);
    expect(refused.json, "a JSON-RPC error, no page of HTML").to.have.nested.property("error.message");
    const early = await connectModern(`${url}/mcp`);
    const failed = await early.call("run_command", { command: "true" });
    expect(failureOf(failed)).to.equal("STORE_UNAVAILABLE");
    expect(failed.structured.retryable).to.equal(true);
    await early.close();

    const takes = worker.line(/worker started/, START_MS);
    redis = await PrivateRedis.start({ folder: join(processes.folder, "redis"), port, password });
    await takes;
    await eventually("the coordinator is ready", async () => (await get("/readyz")).status === 200);
    const workers = async (): Promise<number> => ((await get("/readyz")).json as { workers: number }).workers;
    await eventually("it sees the worker", async () => (await workers()) === 1);
    const client = await connectModern(`${url}/mcp`);
    const { structured } = await client.call("run_command", { command: "echo at last" });
    expect(structured.stdout).to.equal("at last\n");
    await client.close();
    expect(await Promise.all([coordinator.stop(30_000), worker.stop(30_000)])).to.deep.equal([0, 0]);
  });

  it("keeps nobody from stopping them when it goes away later, with all that they made", async () => {
    const server = await PrivateRedis.start({ folder: join(processes.folder, "redis"), port, password });
    const settings = { ...env, POOL_SIZE: "1", LEASE_MS: "60000" };
    const coordinator = processes.launch("coordinator", settings);
    const listening = coordinator.line(/"url":"([^"]+)","msg":"coordinator listens"/, START_MS);
    const worker = processes.launch("worker", settings);
    const client = await eventually("the stack is ready", async () => connectModern(`${(await listening)[1]}/mcp`));
    await begin(client, "run_command", { command: "echo started; sleep 60" });
    const away = Promise.all([coordinator, worker].map((child) => child.line(/Redis does not answer/, START_MS)));
    server.signal("SIGKILL");
    await away;
    expect(failureOf(await client.call("list_sessions"))).to.equal("STORE_UNAVAILABLE");
    await client.close();
    expect(await Promise.all([coordinator.stop(30_000), worker.stop(30_000)])).to.deep.equal([0, 0]);
    expect(await containersOf(env.DEPLOYMENT ?? "")).to.deep.equal([]);
  });

  it("keeps nobody from stopping them", async () => {
    const children = [processes.launch("coordinator", env), processes.launch("worker", env)];
    await Promise.all(children.map((child) => child.line(/Redis does not answer/, START_MS)));
    expect(await Promise.all(children.map((child) => child.stop(30_000)))).to.deep.equal([0, 0]);
  });
});
