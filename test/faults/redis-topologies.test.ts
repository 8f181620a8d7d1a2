import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Redis } from "ioredis";
import { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { freePort, PrivateRedis } from "../../compose/embedded/private-redis.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { useProcesses } from "../support/use-processes.ts";

const START_MS = 30_000;
const LONG_MS = 180_000;
const password = "shared-by-all-nodes";
const SLOTS = 16_384;

describe("Redis as", () => {
  const processes = useProcesses();
  let folder = "";
  const servers: { stop(): Promise<unknown> }[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-redis-"));
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const startServer = async (name: string, settings: string[]): Promise<PrivateRedis> => {
    const server = await PrivateRedis.start({ folder: join(folder, name), password, settings });
    servers.push(server);
    return server;
  };
  /** Asks one node itself. */
  const ask = async (server: PrivateRedis, ...command: [string, ...(string | number)[]]): Promise<string> => {
    const redis = new Redis(server.url);
    try {
      return String(await redis.call(...command));
    } finally {
      redis.disconnect();
    }
  };
  const startSystem = async (url: string) => {
    const env = { REDIS_URL: url, POOL_SIZE: "1", WORKSPACE_MB: "64", LEASE_MS: "9000", BEAT_MS: "1000" };
    const settings = { ...env, DEPLOYMENT: `test-${randomBytes(4).toString("hex")}` };
    const coordinator = processes.launch("coordinator", settings);
    const listening = coordinator.line(/"url":"([^"]+)","msg":"coordinator listens"/, START_MS);
    const worker = processes.launch("worker", settings);
    await Promise.all([listening, worker.line(/worker started/, START_MS)]);
    const client = await connectModern(`${(await listening)[1]}/mcp`);
    return {
      client,
      stop: async () =>
        expect(await Promise.all([coordinator.stop(30_000), worker.stop(30_000)])).to.deep.equal([0, 0]),
    };
  };
  const opened = async (client: ToolClient): Promise<unknown> =>
    await eventually(
      "a session is made",
      async () => (await client.call("create_session")).structured.session_id,
      START_MS,
    );

  it("a cluster of three masters carries sessions, calls, output, keys, controls and their ends", async function () {
    this.timeout(LONG_MS);
    const config = (name: string): string[] => ["cluster-enabled yes", `cluster-config-file nodes-${name}.conf`];
    const nodes = await Promise.all(["a", "b", "c"].map((name) => startServer(`cluster-${name}`, config(name))));
    const share = Math.ceil(SLOTS / nodes.length);
    for (const [i, node] of nodes.entries())
      await ask(node, "CLUSTER", "ADDSLOTSRANGE", i * share, Math.min(SLOTS, (i + 1) * share) - 1);
    for (const { port } of nodes.slice(1)) await ask(nodes[0]!, "CLUSTER", "MEET", "127.0.0.1", port);
    await eventually(
      "the cluster stands",
      async () => {
        const states = await Promise.all(nodes.map((node) => ask(node, "CLUSTER", "INFO")));
        return states.every((state) => /cluster_state:ok/.test(state) && /cluster_known_nodes:3/.test(state));
      },
      START_MS,
    );

    const list = nodes.map(({ port }) => `127.0.0.1:${port}`).join(",");
    const { client, stop } = await startSystem(`redis+cluster://:${password}@${list}`);
    const sessions = await Promise.all(Array.from({ length: 4 }, () => opened(client)));
    for (const session_id of sessions) {
      const keyed = { session_id, idempotency_key: "once", command: "echo $RANDOM | tee file" };
      const first = await client.call("run_command", keyed);
      expect(first.structured).to.include({ status: "exited", exit_code: 0 });
      expect((await client.call("run_command", keyed)).structured.stdout).to.equal(first.structured.stdout);
      expect((await client.call("read_file", { session_id, path: "file" })).text).to.include(
        String(first.structured.stdout).trim(),
      );
      const late = await client.call("run_command", { session_id, command: "echo begun; sleep 60", wait_ms: 200 });
      expect(late.structured.status).to.equal("running");
      const { process_id } = late.structured;
      await client.call("kill_process", { session_id, process_id, signal: "SIGKILL" });
      await eventually("it was killed", async () => {
        const { structured } = await client.call("read_process", { session_id, process_id, wait_ms: 5_000 });
        return structured.status === "killed";
      });
      expect((await client.call("close_session", { session_id })).structured.closed).to.equal(true);
      expect(failureOf(await client.call("run_command", { session_id, command: "true" }))).to.equal(
        "SESSION_NOT_FOUND",
      );
    }
    const keysOf = await Promise.all(nodes.map(async (node) => Number(await ask(node, "DBSIZE"))));
    expect(
      keysOf.every((count) => count > 0),
      `every node carries some: ${keysOf}`,
    ).to.equal(true);
    await client.close();
    await stop();
  });

  it("a master that fails over by Sentinel keeps sessions, their containers and what was acknowledged", async function () {
    this.timeout(LONG_MS);
    const master = await startServer("master", []);
    const replication = [`replicaof 127.0.0.1 ${master.port}`, `masterauth ${password}`];
    const replica = await startServer("replica", replication);
    await ask(master, "CONFIG", "SET", "masterauth", password);
    const port = await freePort();
    const config = [
      ...[`port ${port}`, "bind 127.0.0.1", `requirepass ${password}`, `dir ${JSON.stringify(folder)}`],
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      `sentinel auth-pass main ${password}`,
      ...["sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 5000"],
    ];
    const file = join(folder, "sentinel.conf");
    await writeFile(file, config.join("\n"));
    const logFile = join(folder, "sentinel.log");
    const sentinel = new ManagedProcess("sentinel", "redis-server", [file, "--sentinel"], { logFile });
    servers.unshift({ stop: () => sentinel.stop(START_MS) });
    await sentinel.line(/\+slave/, START_MS);

    const { client, stop } = await startSystem(`redis+sentinel://:${password}@127.0.0.1:${port}/main`);
    const session_id = await opened(client);
    const keyed = { session_id, idempotency_key: "once", command: "echo $RANDOM | tee file" };
    const first = await client.call("run_command", keyed);
    await eventually("the replica has it all", async () => {
      const [a, b] = await Promise.all([master, replica].map((node) => ask(node, "INFO", "replication")));
      const offset = (text = ""): string | undefined => /master_repl_offset:(\d+)/.exec(text)?.[1];
      return offset(a) === offset(b);
    });
    master.signal("SIGKILL");
    const again = await eventually(
      "calls are answered again",
      async () => {
        const answer = await client.call("run_command", { session_id, command: "cat file" });
        return answer.structured.status === "exited" && answer;
      },
      60_000,
    );
    expect(again.structured).to.include({ stdout: first.structured.stdout }).and.not.to.have.property("notice");
    expect((await client.call("run_command", keyed)).structured.stdout).to.equal(first.structured.stdout);
    await client.close();
    await stop();
  });
});
