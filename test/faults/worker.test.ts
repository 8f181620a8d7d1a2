import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect } from "chai";
import Docker from "dockerode";
import { closeRedis, createRedis, whenReady } from "../../shared/redis/connect.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/silent-log.ts";
import { useStack } from "../support/use-stack.ts";

type Structured = Record<string, unknown>;

describe("a worker that is killed", () => {
  const cluster = useStack({ workers: 2, env: { POOL_SIZE: "1", LEASE_MS: "3000", BEAT_MS: "500", SWEEP_MS: "500" } });
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
  const call = async (name: string, args: Structured): Promise<Structured> =>
    (await client.callTool({ name, arguments: args })).structuredContent as Structured;

  before(async () => await client.connect(new StreamableHTTPClientTransport(new URL(cluster.stack.url))));
  after(() => client.close());

  /** Containers, run folder and keys that are a worker's. */
  const leftOf = async (worker: string): Promise<string[]> => {
    const filters = { label: [`codegen-mcp.worker=${worker}`] };
    const containers = await new Docker().listContainers({ all: true, filters });
    const folders = (await readdir(join(cluster.stack.folder, "run"))).filter((name) => name === worker);
    const redis = createRedis(cluster.stack.redis.url, "patient", silentLog);
    await whenReady(redis);
    const keys = await redis.keys(`*${worker}*`);
    await closeRedis(redis);
    return [...containers.map(({ Id }) => Id), ...folders, ...keys];
  };

  it("costs the call that ran its outcome, and the session goes on elsewhere and says so once", async () => {
    const { session_id } = await call("create_session", {});
    const { worker } = await call("get_session", { session_id });
    const running = call("run_command", { session_id, command: "sleep 60", wait_ms: 50_000 });
    const isIn = async (tool: string, state: string): Promise<boolean> =>
      ((await call("list_calls", { session_id })).calls as Structured[]).some(
        (one) => one.tool === tool && one.state === state,
      );
    await eventually("the command runs", () => isIn("run_command", "running"));
    const waiting = call("write_file", { session_id, path: "never", content: "written" });
    await eventually("the other waits behind it", () => isIn("write_file", "queued"));

    const victim = cluster.stack.workers.find(({ log }) => log.includes(String(worker)));
    victim?.signal("SIGKILL");

    expect(await running).to.include({ code: "OUTCOME_UNKNOWN", retryable: false });
    expect(await waiting).to.include({ code: "SESSION_RESET", retryable: true });
    const first = await call("run_command", { session_id, command: "echo back", wait_ms: 30_000 });
    expect(first).to.include({ status: "exited", stdout: "back\n" });
    expect(first.notice).to.match(/its worker died/);
    expect((await call("run_command", { session_id, command: "true" })).notice).to.equal(undefined);
    expect((await call("get_session", { session_id })).worker).not.to.equal(worker);
    await eventually("nothing of it is left", async () => (await leftOf(String(worker))).length === 0, 30_000);
  });
});
