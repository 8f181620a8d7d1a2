import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import Docker from "dockerode";
import type { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { eventually } from "../support/eventually.ts";
import { goesOnElsewhere } from "../support/goes-on-elsewhere.ts";
import { begin, connectModern, type ToolClient } from "../support/tool-client.ts";
import { containersOf, useCluster } from "../support/use-cluster.ts";

/** Long enough for a busy machine to be heard again in time. */
const LEASE_MS = 6_000;
const SETTINGS = { LEASE_MS: String(LEASE_MS), BEAT_MS: "500", POOL_SIZE: "1" };
const LONG_MS = 60_000;
const docker = new Docker();

const isPaused = async (id: string): Promise<boolean> => (await docker.getContainer(id).inspect()).State.Paused;
/** Whether nothing in the container moves but PID 1 and the agent, as the host sees it. */
const isStopped = async (id: string): Promise<boolean> => {
  const { Processes } = await docker.getContainer(id).top({ ps_args: "-eo pid,stat,args" });
  const others = (Processes as string[][]).filter(([, , args]) => !/init supervise|agent\.cjs/.test(args ?? ""));
  return others.length > 0 && others.every(([, state]) => state?.startsWith("T"));
};

describe("Redis that goes away for longer than a lease", () => {
  const cluster = useCluster(SETTINGS);
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());

  const ownerOf = async (sid: unknown): Promise<unknown> => await cluster.redis.hmget(`cg:{${sid}}`, "owner", "epoch");

  for (const [how, leave, comeBack] of [
    ["hangs", () => cluster.stack.redis.signal("SIGSTOP"), async () => cluster.stack.redis.signal("SIGCONT")],
    ["is killed", () => cluster.stack.redis.signal("SIGKILL"), () => cluster.stack.redis.start()],
  ] as const) {
    it(`costs no session, no container and no call when it ${how}: they are frozen and go on`, async function () {
      this.timeout(LONG_MS * 2);
      const { session_id } = (await client.call("create_session")).structured;
      const key = { session_id, idempotency_key: "before" };
      const before = await client.call("run_command", { ...key, command: "echo $RANDOM | tee before" });
      const owner = await ownerOf(session_id);
      const container = await cluster.containerOf(session_id);
      const command = "for i in {1..40}; do echo $i | tee -a ticks; sleep 0.1; done";
      const { structured } = await client.call("run_command", { session_id, command, wait_ms: 0 });
      await begin(client, "read_process", { session_id, process_id: structured.process_id, wait_ms: 5_000 });

      leave();
      await eventually("it is frozen", () => isPaused(container), LONG_MS);
      await sleep(LEASE_MS); // away for well over a lease: what would be reaped is reaped now
      await comeBack();
      await eventually("it is thawed", async () => !(await isPaused(container)), LONG_MS);

      const { structured: end } = await eventually(
        "the call that ran has its end",
        async () => {
          const answer = await client.call("get_call", { session_id, call_id: structured.call_id, wait_ms: 20_000 });
          return answer.structured.state === "done" && answer;
        },
        LONG_MS,
      );
      const all = Array.from({ length: 40 }, (_, i) => `${i + 1}\n`).join("");
      expect(end.result ?? end).to.include({ status: "exited", exit_code: 0, stdout: all });
      const again = await client.call("run_command", { ...key, command: "echo $RANDOM | tee before" });
      expect(again.structured.stdout, "what was acknowledged is told again").to.equal(before.structured.stdout);
      const { structured: after } = await client.call("run_command", { session_id, command: "cat ticks" });
      expect(after).to.include({ stdout: all }).and.not.to.have.property("notice");
      expect(await ownerOf(session_id)).to.deep.equal(owner);
      expect(await cluster.containerOf(session_id)).to.equal(container);
      await client.call("close_session", { session_id });
    });
  }
});

describe("Redis that is away for 30 s, with the lease as it is shipped", () => {
  const AWAY_MS = 30_000;
  const cluster = useCluster();
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());

  it("costs no session and no container: all are frozen, and thawed", async function () {
    this.timeout(LONG_MS * 3);
    const sessions = await Promise.all([1, 2, 3].map(async () => (await client.call("create_session")).structured));
    const ids = sessions.map(({ session_id }) => session_id);
    for (const session_id of ids) await client.call("run_command", { session_id, command: "echo kept > kept" });
    const containers = await Promise.all(ids.map((id) => cluster.containerOf(id)));
    const areAllPaused = async () => (await Promise.all(containers.map(isPaused))).every(Boolean);
    cluster.stack.redis.signal("SIGSTOP");
    await Promise.all([sleep(AWAY_MS), eventually("all are frozen", areAllPaused, LONG_MS)]);
    cluster.stack.redis.signal("SIGCONT");
    for (const [i, session_id] of ids.entries()) {
      const { structured } = await eventually(
        "it works",
        async () => {
          const answer = await client.call("run_command", { session_id, command: "cat kept" });
          return answer.structured.exit_code === 0 && answer;
        },
        LONG_MS,
      );
      expect(structured).to.include({ stdout: "kept\n" }).and.not.to.have.property("notice");
      expect(await cluster.containerOf(session_id)).to.equal(containers[i]);
    }
    expect(await containersOf(cluster.stack.deployment)).to.include.members(containers);
  });
});

describe("A worker that is stopped for longer than its lease", () => {
  const cluster = useCluster(SETTINGS);
  let client: ToolClient;
  let stopped: ManagedProcess | undefined;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(async () => {
    stopped?.signal("SIGCONT");
    await client.close();
  });

  it("has no effect any more: its agent stops what runs, and when it is back everything is refused", async function () {
    this.timeout(LONG_MS * 2);
    const { session_id } = (await client.call("create_session")).structured;
    const container = await cluster.containerOf(session_id);
    const command = "while :; do echo tick | tee -a ticks; sleep 0.05; done";
    const { call_id } = (await client.call("run_command", { session_id, command, wait_ms: 100 })).structured;
    [stopped] = cluster.stack.workers;
    const fenced = stopped!.line(/no longer ours; its container is removed/, LONG_MS * 2);
    fenced.catch(() => {});
    stopped?.signal("SIGSTOP");
    await eventually("the agent stopped everything", () => isStopped(container), LONG_MS);
    const { structured } = await client.call("get_call", { session_id, call_id, wait_ms: 30_000 });
    expect(structured.state).to.equal("outcome_unknown");
    const successor = cluster.stack.addWorker();
    const next = await goesOnElsewhere(client, session_id, "ls -A; echo new > new", LONG_MS);
    expect(next.structured).to.include({ stdout: "" });
    await successor;

    stopped?.signal("SIGCONT");
    await fenced;
    await eventually("its container is gone", async () => {
      return !(await containersOf(cluster.stack.deployment)).includes(container);
    });
    const { structured: after } = await client.call("run_command", { session_id, command: "ls -A" });
    expect(after).to.include({ stdout: "new\n" });
  });
});
