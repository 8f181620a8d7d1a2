import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { removeContainer, useCluster } from "../support/use-cluster.ts";
import { useS3 } from "../support/use-s3.ts";

/** Without a state folder no other worker takes the containers of a killed one over. */
const LOST_WITH_WORKER = { STATE_DIR: "" };

describe("What a session's files survive", () => {
  const settings = {
    LEASE_MS: "3000",
    BEAT_MS: "500",
    CHECKPOINT_QUIET_MS: "200",
    POOL_SIZE: "1",
    SWEEP_MS: "500",
    ...LOST_WITH_WORKER,
  };
  const cluster = useCluster(settings);
  const killed: unknown[] = [];
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(async () => {
    await client.close();
    const docker = new Docker();
    for (const worker of killed) {
      const filters = { label: [`codegen-mcp.worker=${worker}`] };
      await eventually("its containers are swept", async () => (await docker.listContainers({ filters })).length === 0);
    }
  });

  const create = async (durability: string): Promise<unknown> =>
    (await client.call("create_session", { durability })).structured.session_id;
  const run = (session_id: unknown, command: string, more = {}) =>
    client.call("run_command", { session_id, command, ...more });
  const killWorkerOf = async (session_id: unknown): Promise<void> => {
    const { worker } = (await client.call("get_session", { session_id })).structured;
    killed.push(worker);
    cluster.stack.workers.find(({ log }) => log.includes(String(worker)))?.signal("SIGKILL");
    await cluster.stack.addWorker();
  };

  it("with durability call, each result that was told survives the worker; what waits goes on; it says so once", async () => {
    const session_id = await create("call");
    await client.call("write_file", { session_id, path: "a.txt", content: "a" });
    const kept = { session_id, path: "b.txt", content: "b", idempotency_key: "kept" };
    await client.call("write_file", kept);
    const read = { session_id, path: "a.txt" };
    await killWorkerOf(session_id);
    const after = await client.call("run_command", { session_id, command: "cat a.txt b.txt", wait_ms: 45_000 });
    expect(after.structured).to.include({ status: "exited", stdout: "ab" });
    expect(after.structured.notice).to.match(
      /its worker died: .*in checkpoint ckpt_\S+ .*holds all that calls had changed/,
    );
    expect(after.text).to.include("ckpt_");
    const next = await client.call("read_file", read);
    expect(next.structured.content).to.equal("a");
    expect(next.structured, "once").to.not.have.property("notice");
    const replayed = await client.call("write_file", kept);
    expect(replayed.structured).to.not.have.property("effects_lost");
  });

  it("with durability call, the call that ran has an unknown outcome, and what waited behind it never started", async () => {
    const session_id = await create("call");
    await run(session_id, "echo kept > kept");
    const { answer } = await begin(client, "run_command", {
      session_id,
      command: "echo half > half; echo started; sleep 60",
      wait_ms: 50_000,
    });
    const { call_id } = (await run(session_id, "echo never > never", { wait_ms: 0 })).structured;
    await removeContainer(await cluster.containerOf(session_id));
    expect(failureOf(await answer)).to.equal("OUTCOME_UNKNOWN");
    const reset = await client.call("get_call", { call_id, wait_ms: 20_000 });
    expect(reset.structured.failure).to.include({ code: "SESSION_RESET", retryable: true });
    const after = await run(session_id, "ls", { wait_ms: 45_000 });
    expect(after.structured).to.include({ stdout: "kept\n" });
    expect(after.structured.notice).to.match(/what was changed after it is gone/);
  });

  it("with durability idle, files survive once there was a quiet moment; results newer than that say what is lost", async () => {
    const session_id = await create("idle");
    await run(session_id, "echo early > early");
    await eventually("a checkpoint", async () => {
      const { checkpoints } = (await client.call("get_session", { session_id })).structured;
      return (checkpoints as unknown[] | undefined)?.length;
    });
    const late = { session_id, path: "late", content: "late", idempotency_key: "late" };
    const background = await run(session_id, "sleep 1000", { background: true }); // no quiet moment any more
    expect(background.structured.status).to.equal("running");
    await client.call("write_file", late);
    await removeContainer(await cluster.containerOf(session_id));
    const after = await run(session_id, "ls", { wait_ms: 45_000 });
    expect(after.structured.notice).to.match(/replaced.*checkpoint.*processes and interpreter states are gone/);
    const listed = String(after.structured.stdout);
    expect(listed).to.include("early");
    const replayed = await client.call("write_file", late);
    expect(replayed.structured.effects_lost ?? false, "whether it is there").to.equal(!listed.includes("late"));
  });

  it("with durability none, nothing survives, and replayed results say so", async () => {
    const session_id = await create("none");
    const written = { session_id, path: "a", content: "a", idempotency_key: "a" };
    await client.call("write_file", written);
    await removeContainer(await cluster.containerOf(session_id));
    const after = await run(session_id, "ls", { wait_ms: 45_000 });
    expect(after.structured).to.include({ stdout: "" });
    expect(after.structured.notice).to.match(/its files and processes are gone/);
    expect((await client.call("write_file", written)).structured.effects_lost).to.equal(true);
  });
});

describe("A checkpoint store that speaks S3", () => {
  const s3 = useS3();
  let stack: EmbeddedStack;
  let folder = "";
  let client: ToolClient;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    const where = { CHECKPOINT_STORE: `s3://${s3.bucket}/some`, S3_ENDPOINT: s3.endpoint };
    stack = await EmbeddedStack.start({ folder, env: { POOL_SIZE: "1", DURABILITY: "call", ...where } });
    client = await connectModern(stack.url);
  });
  after(async () => {
    await client.close();
    expect(await stack.stop()).to.deep.equal([0, 0]);
    await rm(folder, { recursive: true });
  });

  it("brings sessions back; while it is away results say that they are not durable, and all else goes on", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    const run = async (command: string) => await client.call("run_command", { session_id, command, wait_ms: 45_000 });
    const told = await run("echo kept > kept; head -c 6000000 /dev/zero > large");
    expect(told.structured).to.not.have.property("durable");
    const filters = { label: [`codegen-mcp.deployment=${stack.deployment}`], name: [String(session_id)] };
    const [container] = await new Docker().listContainers({ filters });
    await removeContainer(container!.Id);
    expect((await run("cat kept; stat -c %s large")).structured).to.include({ stdout: "kept\n6000000\n" });

    await s3.stop();
    const risky = await run("echo risky > risky");
    expect(risky.structured).to.include({ exit_code: 0, durable: false });
    expect(risky.structured.notice).to.match(/lost if its worker is/);
    expect(failureOf(await client.call("create_checkpoint", { session_id }))).to.equal("STORE_UNAVAILABLE");
    expect((await client.call("read_file", { session_id, path: "risky" })).structured.content).to.equal("risky\n");
    const { checkpoints } = (await client.call("list_checkpoints", { session_id })).structured;
    const [{ checkpoint_id }] = checkpoints as [{ checkpoint_id: string }];
    const restore = await client.call("restore_checkpoint", { session_id, checkpoint_id, wait_ms: 45_000 });
    expect(failureOf(restore)).to.equal("STORE_UNAVAILABLE");
    expect((await run("cat risky")).structured.stdout, "nothing was touched").to.equal("risky\n");
  });
});
