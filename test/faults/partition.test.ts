import { expect } from "chai";
import Docker from "dockerode";
import type { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { keys } from "../../shared/redis/keys.ts";
import { Link } from "../chaos/link.ts";
import { eventually } from "../support/eventually.ts";
import { goesOnElsewhere } from "../support/goes-on-elsewhere.ts";
import { begin, connectModern, type ToolClient } from "../support/tool-client.ts";
import { containersOf, useCluster } from "../support/use-cluster.ts";

const LONG_MS = 60_000;
const docker = new Docker();

describe("A worker whose way to Redis fails, while all others reach it", () => {
  const cluster = useCluster({ LEASE_MS: "6000", BEAT_MS: "500", POOL_SIZE: "1", STATE_DIR: "" });
  let client: ToolClient;
  let link: Link;
  let worker: ManagedProcess;
  before(async function () {
    this.timeout(LONG_MS);
    const redis = new URL(cluster.stack.redis.url);
    link = await Link.start(Number(redis.port));
    redis.port = String(link.port);
    await cluster.stack.workers.shift()?.stop(LONG_MS, "SIGINT"); // the only worker is the one behind the link
    worker = await cluster.stack.addWorker({ REDIS_URL: redis.href });
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(async () => {
    await client.close();
    link.open();
    expect(await worker.stop(LONG_MS, "SIGINT")).to.equal(0);
    await link.stop();
  });
  const ownerOf = async (sid: string): Promise<unknown> =>
    await cluster.redis.hmget(keys.session(sid as "ses_"), "owner", "epoch");
  const create = async (): Promise<string> => (await client.call("create_session")).structured.session_id as string;

  it("loses nothing when its connections fall silent without breaking: they are made anew", async function () {
    this.timeout(LONG_MS * 2);
    const session_id = await create();
    const owner = await ownerOf(session_id);
    const command = "echo begun; sleep 1; echo ended";
    const { answer } = await begin(client, "run_command", { session_id, command, wait_ms: 50_000 });
    const { count, end } = link.silence();
    expect(count).to.be.greaterThan(2);
    expect((await answer).structured).to.include({ status: "exited", stdout: "begun\nended\n" });
    expect(await ownerOf(session_id)).to.deep.equal(owner);
    end();
    await client.call("close_session", { session_id });
  });

  it("is frozen when it is cut off; its sessions go on elsewhere, and back again it removes what it had", async function () {
    this.timeout(LONG_MS * 2);
    const session_id = await create();
    const container = await cluster.containerOf(session_id);
    const command = "while :; do echo tick | tee -a ticks; sleep 0.05; done";
    const { call_id } = (await client.call("run_command", { session_id, command, wait_ms: 100 })).structured;
    const fenced = worker.line(/no longer ours; its container is removed/, LONG_MS * 2);
    fenced.catch(() => {});
    link.close();
    await eventually(
      "its container is paused",
      async () => (await docker.getContainer(container).inspect()).State.Paused,
      LONG_MS,
    );
    const { structured } = await client.call("get_call", { session_id, call_id, wait_ms: 30_000 });
    expect(structured.state).to.equal("outcome_unknown");
    await cluster.stack.addWorker();
    const next = await goesOnElsewhere(client, session_id, "ls -A; echo new > new", LONG_MS);
    expect(next.structured).to.include({ stdout: "" });

    link.open();
    await fenced;
    await eventually("its container is gone", async () => {
      return !(await containersOf(cluster.stack.deployment)).includes(container);
    });
    const { structured: after } = await client.call("run_command", { session_id, command: "ls -A" });
    expect(after).to.include({ stdout: "new\n" });
    await client.call("close_session", { session_id });
  });
});
