import { expect } from "chai";
import Docker from "dockerode";
import { begin, connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { containersOf, removeContainer, useCluster } from "../support/use-cluster.ts";

describe("A container that is removed by hand", () => {
  const cluster = useCluster();
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());

  it("costs the running call its outcome and the waiting ones their turn; the session goes on and says so once", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    const bystander = (await client.call("create_session")).structured.session_id;
    await client.call("write_file", { session_id: bystander, path: "kept", content: "kept" });
    await client.call("write_file", { session_id, path: "lost", content: "lost" });
    const container = await cluster.containerOf(session_id);
    const command = "echo started; sleep 60";
    const { answer: running } = await begin(client, "run_command", { session_id, command, wait_ms: 50_000 });
    const queued = (await client.call("run_command", { session_id, command: "true", wait_ms: 0 })).structured;
    expect(queued.status).to.equal("queued");
    await removeContainer(container);

    const unknown = await running;
    expect(failureOf(unknown)).to.equal("OUTCOME_UNKNOWN");
    expect(unknown.structured.retryable).to.equal(false);
    const { structured: reset } = await client.call("get_call", { call_id: queued.call_id, wait_ms: 20_000 });
    expect(reset.state).to.equal("session_reset");
    expect(reset.failure).to.include({ code: "SESSION_RESET", retryable: true });

    const next = await client.call("run_command", { session_id, command: "ls -A" });
    expect(next.structured).to.include({ status: "exited", exit_code: 0, stdout: "" });
    expect(next.structured.notice).to.include("replaced");
    expect(next.text).to.include(next.structured.notice);
    const after = await client.call("run_command", { session_id, command: "true" });
    expect(after.structured).to.include({ exit_code: 0 }).and.to.not.have.property("notice");

    const { structured } = await client.call("list_processes", { session_id });
    const statuses = (structured.processes as { status: string }[]).map(({ status }) => status);
    expect(statuses).to.deep.equal(["exited", "exited", "lost"]);
    const fresh = await cluster.containerOf(session_id);
    expect(await containersOf(cluster.stack.deployment))
      .to.include(fresh)
      .and.to.not.include(container);
    const kept = await client.call("read_file", { session_id: bystander, path: "kept" });
    expect(kept.structured.content, "other sessions are not touched").to.equal("kept");
  });

  it("may be removed again while it is made ready: the session comes back all the same", async () => {
    const { session_id } = (await client.call("create_session", { durability: "call" })).structured;
    await client.call("run_command", { session_id, command: "echo kept > kept; head -c 30M /dev/urandom > large" });
    const filters = JSON.stringify({ type: ["container"], event: ["rename"] });
    const events = (await new Docker().getEvents({ filters })) as unknown as AsyncIterable<Buffer>;
    const renamed = (async (): Promise<string> => {
      for await (const line of events)
        if (String(line).includes(String(session_id))) return JSON.parse(String(line)).id;
      return "";
    })();
    await removeContainer(await cluster.containerOf(session_id));
    await removeContainer(await renamed);
    const next = await client.call("run_command", {
      session_id,
      command: "cat kept; stat -c %s large",
      wait_ms: 45_000,
    });
    expect(next.structured).to.include({ exit_code: 0, stdout: "kept\n31457280\n" });
  });
});
