import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { containersOf, useCluster } from "../support/use-cluster.ts";

type Structured = Record<string, unknown>;

describe("Calls that outlive their wait", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  /** Made first and looked at last: it expires while the other tests run. */
  let idle: { session_id: unknown; container: string };
  before(async () => {
    client = await connectModern(cluster.url);
    const { structured } = await client.call("create_session", { idle_timeout_s: 10 });
    idle = { session_id: structured.session_id, container: await cluster.containerOf(structured.session_id) };
  });
  cluster.beforeStop(() => client.close());
  beforeEach(async () => {
    session_id = (await client.call("create_session")).structured.session_id;
  });
  afterEach(async () => {
    await client.call("close_session", { session_id });
  });
  const run = async (args: Structured): Promise<Structured> =>
    (await client.call("run_command", { session_id, ...args })).structured;
  const go = (): Promise<unknown> => client.call("write_file", { session_id, path: "go", content: "" });

  it("answer where they can be followed, leave the lane to others, and keep the tool's own result", async () => {
    const { status, call_id, process_id } = await run({ command: UNTIL_GO, wait_ms: 200 });
    expect(status).to.equal("running");
    expect(process_id).to.match(/^proc_/);
    const detached = await eventually("its worker has detached it", async () => {
      const { structured } = await client.call("get_call", { call_id });
      return structured.state === "detached" ? structured : undefined;
    });
    expect(detached).to.include({ tool: "run_command", process_id });

    await go();
    const { structured } = await client.call("get_call", { call_id, wait_ms: 20_000 });
    expect(structured.state).to.equal("done");
    expect(structured.result).to.include({ status: "exited", exit_code: 0, stdout: "started\nwent on\n", process_id });
  });

  it("are queued behind the call before them, and run after it", async () => {
    const { answer } = await begin(client, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const behind = await run({ command: "echo behind", wait_ms: 0 });
    expect(behind.status).to.equal("queued");
    const processes = (await client.call("list_processes", { session_id })).structured.processes as Structured[];
    expect(processes, "a queued command is no process yet").to.have.length(1);
    await client.call("kill_process", { session_id, process_id: processes[0]?.process_id });
    expect((await answer).structured.status).to.equal("killed");
    const { structured } = await client.call("get_call", { call_id: behind.call_id, wait_ms: 20_000 });
    expect(structured.result).to.include({ stdout: "behind\n" });
  });

  it("give all output by cursor, from either replica, without gap or duplicate", async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i} größer\n`).join("");
    const command = "for i in $(seq 0 19); do seq -f '%g größer' $((i*1000)) $((i*1000+999)); sleep 0.05; done";
    const { process_id } = await run({ command, wait_ms: 0 });
    let cursor: unknown;
    let output = "";
    for (let isOver = false; !isOver; ) {
      const args = { process_id, wait_ms: 10_000, ...(cursor ? { cursor } : {}) };
      const { structured } = await client.call("read_process", args);
      expect(structured.code).to.equal(undefined);
      output += structured.output;
      cursor = structured.next_cursor;
      isOver = structured.status !== "running" && !structured.has_more;
    }
    expect(output === lines, `${output.length} characters came, ${lines.length} were written`).to.equal(true);
    const again = await client.call("read_process", { process_id, cursor });
    expect(again.structured).to.include({ output: "", status: "exited", exit_code: 0, next_cursor: cursor });
  });

  it("can be asked for in the background, listed, and killed with all that they started", async () => {
    const command = "(trap '' HUP; setsid sleep 1234 & sleep 1234) & echo serving; wait";
    const started = await run({ command, background: true });
    expect(started).to.include({ status: "running" });
    const { process_id } = started;
    const seen = (await client.call("read_process", { process_id, wait_ms: 10_000 })).structured;
    expect(seen).to.include({ output: "serving\n", status: "running" });
    const listed = (await client.call("list_processes", { session_id })).structured.processes as Structured[];
    expect(listed).to.have.length(1);
    expect(listed[0]).to.include({ process_id, command, status: "running" });

    const killed = (await client.call("kill_process", { session_id, process_id })).structured;
    expect(killed).to.include({ process_id, status: "killed", signal: "SIGTERM" });
    const left = await run({ command: "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 123[4]'" });
    expect(left.stdout).to.equal("0\n");
    expect((await client.call("read_process", { process_id })).structured.status).to.equal("killed");
  });

  it("can be killed by the process's id alone, which tells the session", async () => {
    const { process_id } = await run({ command: "sleep 60", background: true });
    const killed = await client.call("kill_process", { process_id });
    expect(killed.structured).to.include({ status: "killed" });
  });

  it("are listed newest first, with their states", async () => {
    await run({ command: "true" });
    await client.call("write_file", { session_id, path: "f", content: "" });
    await client.call("read_file", { session_id, path: "absent" });
    const { structured } = await client.call("list_calls", { session_id });
    const calls = (structured.calls as Structured[]).map(({ tool, state }) => `${tool} ${state}`);
    expect(calls).to.deep.equal(["read_file failed", "write_file done", "run_command done", "create_session done"]);
    const newest = (await client.call("list_calls", { session_id, limit: 2 })).structured;
    expect(newest.calls).to.have.length(2);
    expect(newest.truncated).to.equal(true);
  });

  it("end at their own deadline, told as a normal result", async () => {
    const { structured } = await client.call("run_command", { session_id, command: "sleep 60", timeout_ms: 300 });
    expect(structured).to.include({ status: "timed_out", exit_code: null });
  });

  it("do not outlive their session, which ends when it is idle, with its container", async () => {
    const isGone = async (): Promise<boolean> =>
      failureOf(await client.call("get_session", { session_id: idle.session_id })) === "SESSION_NOT_FOUND";
    await eventually("the idle session has expired", isGone, 30_000);
    const isRemoved = async (): Promise<boolean> =>
      !(await containersOf(cluster.stack.deployment)).includes(idle.container);
    await eventually("its container is gone", isRemoved);
    const late = await client.call("run_command", { session_id: idle.session_id, command: "true" });
    expect(failureOf(late)).to.equal("SESSION_NOT_FOUND");
  });
});
