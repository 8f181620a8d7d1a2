import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern } from "../support/tool-client.ts";
import { containersOf } from "../support/use-cluster.ts";

const STOP_MS = 60_000;

describe("SIGTERM", () => {
  let folder: string;
  let stack: EmbeddedStack;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    stack = await EmbeddedStack.start({ folder, env: { POOL_SIZE: "1", WORKSPACE_MB: "64" } });
  });
  afterEach(async () => {
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("of the whole stack lets a running command end and its client hear of it, and leaves nothing behind", async () => {
    const client = await connectModern(stack.url);
    const { answer } = await begin(client, "run_command", { command: "echo started; sleep 1; echo ended" });
    const codes = await stack.stop();
    expect((await answer).structured).to.include({ status: "exited", stdout: "started\nended\n" });
    expect(codes).to.deep.equal([0, 0]);
    expect(await containersOf(stack.deployment)).to.deep.equal([]);
  });

  it("of a coordinator waits for its answers, not for connections that its clients keep open", async () => {
    const patient = await stack.addCoordinator({ DRAIN_MS: "600000" });
    const url = new URL(stack.urls[1] ?? "");
    await eventually("it is ready", async () => (await fetch(new URL("/readyz", url))).ok); // it listens before that
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } },
    });
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const outgoing = request(url, { method: "POST", headers: { ...headers, "content-length": body.length }, agent });
    outgoing.write(body.slice(0, 10));
    await once(outgoing, "socket");
    const stopping = patient.line(/"msg":"stopping"/, STOP_MS);
    const code = patient.stop(STOP_MS);
    await stopping;
    outgoing.end(body.slice(10));
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    expect(answer.resume().statusCode).to.equal(200);
    expect(await code).to.equal(0);
    agent.destroy();
  });

  it("of a worker without a state folder gives running commands their grace, and the sessions to others", async () => {
    const worker = await stack.addWorker({ DRAIN_MS: "2000", STATE_DIR: "" });
    await stack.workers.shift()?.stop(STOP_MS, "SIGINT");
    const client = await connectModern(stack.url);
    const idle = (await client.call("run_command", { command: "touch kept" })).structured;
    expect(idle.exit_code).to.equal(0);
    const commands = ["echo started; sleep 1; echo ended", "echo started; sleep 60"];
    const [short, long] = await Promise.all(
      commands.map(async (command) => {
        const { session_id } = (await client.call("create_session")).structured;
        return { session_id, ...(await begin(client, "run_command", { session_id, command, wait_ms: 50_000 })) };
      }),
    );
    const stopping = worker.line(/"msg":"stopping"/, STOP_MS);
    const code = worker.stop(STOP_MS);
    await stopping;
    expect((await short?.answer)?.structured).to.include({ status: "exited", stdout: "started\nended\n" });
    const args = { session_id: short?.session_id, command: "echo late", wait_ms: 0 };
    const late = (await client.call("run_command", args)).structured;
    expect(late.status).to.equal("queued");
    const cut = await long?.answer;
    expect(cut?.structured.status, cut?.text).to.equal("killed");
    expect(await code).to.equal(0);
    expect(await containersOf(stack.deployment)).to.deep.equal([]);

    await stack.addWorker();
    for (const [session, stdout] of [
      [{}, "kept\n"],
      [{ session_id: long?.session_id }, ""],
    ] as const) {
      const first = await client.call("run_command", { ...session, command: "ls", wait_ms: 50_000 });
      expect(first.structured).to.include({ exit_code: 0, stdout });
      expect(first.structured.notice).to.match(/taken out of service/);
    }
    const ended = await client.call("get_call", { call_id: late.call_id, wait_ms: 50_000 });
    expect(ended.structured.result).to.include({ exit_code: 0, stdout: "late\n" });
    await client.close();
  });

  it("is what scripts/drain asks of a worker: it empties, and its sessions go on elsewhere", async () => {
    const client = await connectModern(stack.url);
    const { session_id } = (await client.call("create_session")).structured;
    const { worker } = (await client.call("get_session", { session_id })).structured;
    await stack.addWorker();
    const script = fileURLToPath(new URL("../../scripts/drain.js", import.meta.url));
    const env = { ...process.env, REDIS_URL: stack.redis.url };
    const { stdout } = await promisify(execFile)(process.execPath, [script, String(worker)], { env });
    expect(stdout).to.include(`${worker} is empty and has ended.`);
    expect(await stack.workers[0]?.exited).to.include({ code: 0 });
    const next = await client.call("run_command", { session_id, command: "true", wait_ms: 50_000 });
    expect(next.structured, "it had not been used: nothing was lost").to.include({ exit_code: 0 });
    expect(next.structured).not.to.have.property("notice");
    await client.close();
  });
});
