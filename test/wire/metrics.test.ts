import { readFileSync } from "node:fs";
import { expect } from "chai";
import { tools } from "../../shared/catalog/index.ts";
import { eventually } from "../support/eventually.ts";
import { InProcessStack } from "../support/in-process-stack.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";

const DOCUMENT = new URL("../../../docs/metrics.md", import.meta.url);

interface Documented {
  name: string;
  type: string;
  parts: string[];
  labels: string[];
}

const documented = (): Documented[] =>
  [...readFileSync(DOCUMENT, "utf8").matchAll(/^\| `(codegen_\w+)` \| (\w+) \| (\w+) \|([^|]*)\|/gm)].map(
    ([, name = "", type = "", part = "", labels = ""]) => ({
      name,
      type,
      parts: part === "both" ? ["coordinator", "worker"] : [part],
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label),
    }),
  );

describe("Metrics", () => {
  let stack: InProcessStack;
  let client: ToolClient;
  before(async function () {
    this.timeout(120_000);
    stack = await InProcessStack.start();
    client = await connectModern(`${stack.coordinator.url}/mcp`);
    await eventually("a session stands", async () => !(await client.call("create_session", {})).isError);
  });
  after(async function () {
    this.timeout(60_000);
    await client.close();
    await stack.stop();
  });

  const scrape = async (part: "coordinator" | "worker"): Promise<string> =>
    await (await fetch(stack[part].metricsUrl ?? "")).text();
  const own = (text: string): string[] => text.split("\n").filter((line) => line.startsWith("codegen_"));
  const value = (text: string, series: string): number =>
    Number(
      own(text)
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length + 1),
    );

  for (const part of ["coordinator", "worker"] as const) {
    it(`of the ${part} are those of docs/metrics.md, by name, type and labels`, async () => {
      const text = await scrape(part);
      const types = [...text.matchAll(/^# TYPE (codegen_\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
      const expected = documented().filter(({ parts }) => parts.includes(part));
      expect(types.toSorted()).to.deep.equal(expected.map(({ name, type }) => `${name} ${type}`).toSorted());
      for (const line of own(text)) {
        const metric = expected.find(({ name }) => new RegExp(`^${name}(_bucket|_sum|_count)?[ {]`).test(line));
        const labels = [...line.matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== "le");
        expect(metric?.labels, line).to.have.members(labels);
      }
    });

    it(`of the ${part} come with the event loop's lag and what its process uses`, async () => {
      expect(await scrape(part))
        .to.match(/^nodejs_eventloop_lag_p99_seconds [\d.e-]+$/m)
        .and.to.match(/^process_resident_memory_bytes \d+$/m);
    });
  }

  it("count a call's outcome, its output, and what its container uses", async () => {
    const before = await scrape("worker");
    await client.call("run_command", { command: "echo hello; echo oops >&2; exit 3" });
    expect((await client.call("read_file", { path: "missing" })).isError).to.equal(true);
    const [coordinator, worker] = [await scrape("coordinator"), await scrape("worker")];
    expect(value(coordinator, 'codegen_calls_total{tool="run_command",outcome="OK"}')).to.equal(1);
    expect(value(coordinator, 'codegen_calls_total{tool="read_file",outcome="NOT_FOUND"}')).to.equal(1);
    expect(value(worker, 'codegen_calls_ended_total{tool="read_file",outcome="NOT_FOUND"}')).to.equal(1);
    const streamed = (text: string, stream: string) => value(text, `codegen_stream_bytes_total{stream="${stream}"}`);
    expect(streamed(worker, "stdout") - streamed(before, "stdout")).to.equal(6);
    expect(streamed(worker, "stderr") - streamed(before, "stderr")).to.equal(5);
    expect(value(worker, 'codegen_sessions{state="ready"}')).to.be.at.least(1);
    expect(value(worker, "codegen_sandbox_memory_bytes")).to.be.within(1e6, 4e9);
    expect(value(worker, "codegen_sandbox_cpu_seconds_total")).to.be.above(0);
    expect(value(worker, "codegen_docker_up")).to.equal(1);
    expect(value(coordinator, "codegen_redis_up")).to.equal(1);
  });

  it("tell calls that wait from those that run", async () => {
    const long = client.call("run_command", { command: "sleep 30", wait_ms: 30_000 });
    const behind = client.call("run_command", { command: "true", wait_ms: 30_000 });
    await eventually("one runs and one waits", async () => {
      const text = await scrape("worker");
      const [running, queued] = ["running", "queued"].map((state) => value(text, `codegen_calls{state="${state}"}`));
      return running === 1 && queued === 1;
    });
    const processes = await client.call("list_processes", {});
    const [process] = processes.structured.processes as { process_id: string }[];
    await client.call("kill_process", { process_id: process!.process_id });
    await Promise.all([long, behind]);
  });

  it("have no more series for more principals, sessions, paths, or tools that do not exist", async function () {
    this.timeout(60_000);
    const rounds = async (from: number, count: number): Promise<void> => {
      for (let i = from; i < from + count; i++) {
        await client.call(`tool_${i}`, {}).catch(() => {}); // no such tool
        const caller = { principal: `p${i}`, receivedAt: performance.now(), signal: undefined, progress: undefined };
        for (const tool of tools) {
          if (tool.name === "create_session") continue;
          const args = { session_id: `ses_${i}`, path: `path-${i}`, idempotency_key: `key-${i}`, [`garbage_${i}`]: i };
          await stack.coordinator.tools.call(tool, args, { ...caller, mcpSession: undefined });
        }
        await client.call("read_file", { path: `nothing-${i}` });
        await client.call("run_command", { command: `echo ${i}`, idempotency_key: `key-${i}` });
      }
    };
    const series = async (): Promise<string[]> =>
      own((await scrape("coordinator")) + (await scrape("worker"))).map((line) => line.replace(/ \S+$/, ""));
    await rounds(0, 1);
    const before = await series();
    await rounds(1, 20);
    expect((await series()).toSorted()).to.deep.equal(before.toSorted());
  });
});
