import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern, connectV1, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { send } from "../support/wire.ts";

describe("The CodeGen-MCP toolset", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let other: ToolClient;
  before(async () => {
    client = await connectV1(`${cluster.url}?toolset=codegen-mcp`);
    other = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => Promise.all([client.close(), other.close()]));
  const call = (name: string, args: Record<string, unknown>): Promise<ToolAnswer> => client.call(name, args);
  const textOf = async (name: string, args: Record<string, unknown>): Promise<string> => (await call(name, args)).text;

  it("echoes", async () => {
    expect(await textOf("echo", { message: "hello" })).to.equal("hello");
  });

  it("writes by either name of its argument, reads and lists", async () => {
    expect(await textOf("fs.write", { path: "a.txt", content: "größer\n" })).to.equal("Wrote 9 bytes to a.txt");
    expect(await textOf("fs.write", { path: "d/b.txt", contents: "b" })).to.equal("Wrote 1 bytes to d/b.txt");
    expect(await textOf("fs.read", { path: "a.txt" })).to.equal("größer\n");
    expect(await textOf("fs.list", {}))
      .to.match(/^a\.txt \(file, 9 bytes\)$/m)
      .and.match(/^d \(dir, \d+ bytes\)$/m);
    expect(await textOf("fs.list", { path: "d" })).to.equal("b.txt (file, 1 bytes)\n");
    expect(failureOf(await call("fs.read", { path: "absent" }))).to.equal("NOT_FOUND");
  });

  it("runs Python code and files, and shows only the streams that have something", async () => {
    const code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(3)";
    expect(await textOf("run.python", { code })).to.equal("Exit Code: 3\n\nStdout:\nout\n\nStderr:\nerr\n");
    await call("fs.write", { path: "it's.py", content: "print(1 + 1)" });
    expect(await textOf("run.python", { file: "it's.py" })).to.equal("Exit Code: 0\n\nStdout:\n2\n");
    expect(await textOf("run.python", { code: "pass" })).to.equal("Exit Code: 0\n");
    expect(failureOf(await call("run.python", {}))).to.equal("INVALID_ARGUMENT");
  });

  it("gets a file of the workspace as an artifact, by its path", async () => {
    await call("fs.write", { path: "report.txt", content: "all is well" });
    const { structured, isError } = await call("artifact.get", { artifact_id: "report.txt" });
    expect(isError).to.equal(false);
    const download = await fetch(String(structured.url));
    expect(await download.text()).to.equal("all is well");
    expect(failureOf(await call("artifact.get", { artifact_id: "absent.txt" }))).to.equal("NOT_FOUND");
  });

  it("tells the failure of a task as its tool would have", async () => {
    const { calls } = (await call("list_calls", { limit: 1 })).structured as { calls: { call_id: string }[] };
    const { text, isError } = await call("task.get_result", { task_id: calls[0]?.call_id });
    expect(isError).to.equal(true);
    expect(text).to.match(/^NOT_FOUND: /);
    expect(await textOf("task.get_status", { task_id: calls[0]?.call_id })).to.include('"status":"failed"');
  });

  it("says that nobody knows a task, whatever its id looks like", async () => {
    for (const task_id of ["task-1", "call_0123456789abcdef_01234567"]) {
      for (const name of ["task.get_result", "task.get_status"]) {
        const { text, isError } = await call(name, { task_id });
        expect({ text, isError }).to.deep.equal({ text: `Task not found: ${task_id}`, isError: true });
      }
    }
  });

  it("gives a ticket for what outlives its wait, then its status and its own text", async () => {
    // run.python has no wait of its own to shorten: a call of ours that detached is the same kind of task
    const detached = await call("run_command", { command: UNTIL_GO, wait_ms: 0 });
    const task_id = String(detached.structured.call_id);
    const status = await eventually("its worker has started it", async () => {
      const ticket = JSON.parse(await textOf("task.get_status", { task_id })) as Record<string, unknown>;
      return ticket.status === "running" ? ticket : undefined;
    });
    expect(status).to.include({ task_id, session_id: detached.structured.session_id });
    expect(status.sequence).to.be.a("number").above(0);
    expect(status.message).to.match(/^Task running, dispatched at \d{4}-/);
    expect(Date.parse(String(status.created_at))).to.be.a("number");
    expect(JSON.parse(await textOf("task.get_result", { task_id }))).to.include({
      task_id,
      message: "Task is running",
    });

    await call("fs.write", { path: "go", content: "" });
    const result = await eventually("it has ended", async () => {
      const text = await textOf("task.get_result", { task_id });
      return text.startsWith("{") ? undefined : text;
    });
    expect(result).to.equal("Exit Code: 0\n\nStdout:\nstarted\nwent on\n");
    expect(await textOf("task.get_status", { task_id })).to.include('"status":"completed"');
  });

  it("is a ticket at first for run.python itself", async function () {
    this.timeout(60_000);
    const ticket = JSON.parse(await textOf("run.python", { code: "import time; time.sleep(600)" }));
    expect(ticket).to.have.all.keys("task_id", "status", "session_id", "sequence", "message", "created_at");
    expect(ticket.message).to.equal(`Task ${ticket.task_id} queued for execution`);
    const { structured } = await call("list_processes", { limit: 1 });
    const [{ process_id }] = structured.processes as [{ process_id: string }];
    await call("kill_process", { process_id });
  });

  it("is not there for whoever did not ask for it, and says which toolsets there are", async () => {
    expect(await other.toolNames()).to.not.include("fs.read");
    const error = await other.call("fs.read", { path: "a.txt" }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.message).to.include("Unknown tool");
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
    const refused = await send(`${cluster.url}?toolset=all`, { headers: { "content-type": "application/json" }, body });
    expect(refused.status).to.equal(400);
    expect(refused.json).to.have.nested.property("error.message").that.includes("core, full, codegen-mcp");
  });
});
