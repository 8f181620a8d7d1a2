import { expect } from "chai";
import type { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { containersOf, useCluster } from "../support/use-cluster.ts";

/** Counts aloud until it is interrupted, lines of one size, then says how far it came. */
const COUNT =
  'trap "stop=1" INT; i=0; while [ -z "$stop" ]; do i=$((i+1)); printf "line %06d %0200d\\n" $i 0; sleep 0.01; done; echo $i >&2';
const numberOf = (line: string): number => Number.parseInt(line.slice(5), 10);

const TRANSPORTS = [
  ["a socket", "socket"],
  ["attached stdio", "attach"],
] as const;

for (const [way, AGENT_TRANSPORT] of TRANSPORTS)
  describe(`A worker that is restarted on its host, with agents behind ${way},`, () => {
    const cluster = useCluster({ SWEEP_MS: "500", LEASE_MS: "60000", AGENT_TRANSPORT });
    let client: ToolClient;
    before(async () => {
      client = await connectModern(cluster.url);
    });
    cluster.beforeStop(() => client.close());

    const kill = async (victim: ManagedProcess): Promise<void> => {
      victim.signal("SIGKILL");
      await victim.exited;
      await cluster.stack.addWorker();
    };
    const restarts: [string, (worker: ManagedProcess) => Promise<unknown>][] = [
      ["with SIGTERM", (worker) => cluster.stack.restartWorker(worker)],
      ["after SIGKILL", kill],
    ];

    /** Restarts the worker that has the session, and resolves when its successor has it. */
    const restartWorkerOf = async (session_id: unknown, restart: (worker: ManagedProcess) => Promise<unknown>) => {
      const ownerOf = async () => (await client.call("get_session", { session_id })).structured.worker;
      const before = await ownerOf();
      await restart(cluster.stack.workers.at(-1) as ManagedProcess);
      await eventually("the session has another owner", async () => (await ownerOf()) !== before, 60_000);
    };

    const readAll = async (process_id: unknown): Promise<string> => {
      let output = "";
      for (let cursor: unknown = "0", more = true; more; ) {
        const page = (await client.call("read_process", { process_id, cursor })).structured;
        output += page.output;
        cursor = page.next_cursor;
        more = page.has_more === true;
      }
      return output;
    };

    for (const [how, restart] of AGENT_TRANSPORT === "socket" ? restarts : restarts.slice(0, 1)) {
      it(`keeps its sessions ${how}: calls go on to their whole result, and those behind them run`, async () => {
        const { session_id } = (await client.call("create_session")).structured;
        await client.call("write_file", { session_id, path: "kept", content: "kept" });
        const container = await cluster.containerOf(session_id);
        let seen = "";
        const counting = client.call(
          "run_command",
          { session_id, command: COUNT, wait_ms: 50_000, max_output_bytes: 1_000 },
          {
            onText: (text) => {
              seen += text;
            },
          },
        );
        await eventually("it counts", () => seen.includes("line 000010 "));
        const behind = await client.call("run_command", { session_id, command: "cat kept", wait_ms: 0 });
        expect(behind.structured.status).to.equal("queued");
        await restartWorkerOf(session_id, restart);
        const before = seen.length;
        await eventually("more comes", () => seen.length > before + 100, 60_000);
        const [listed] = (await client.call("list_calls", { session_id })).structured.calls as { call_id: string }[];
        expect(listed?.call_id).to.equal(behind.structured.call_id);
        const { processes } = (await client.call("list_processes", { session_id })).structured;
        const [{ process_id }] = processes as [{ process_id: string }];
        await client.call("kill_process", { process_id, signal: "SIGINT" });

        const { structured } = await counting;
        expect(structured).to.include({ status: "exited", exit_code: 0, truncated: true, process_id });
        expect(structured).not.to.have.property("notice");
        const count = Number(structured.stderr);
        const stdout = String(structured.stdout);
        expect(stdout).to.match(/^line 000001 /);
        expect(numberOf(stdout.trimEnd().split("\n").at(-1) ?? "")).to.equal(count);
        const all = (await readAll(process_id)).split("\n").filter((line) => line.startsWith("line"));
        expect(all.map(numberOf)).to.deep.equal(Array.from({ length: count }, (_, i) => i + 1));
        expect(seen.match(/line \d{6} /g)?.map(numberOf), "live, as in the record").to.deep.equal(all.map(numberOf));

        const late = await client.call("get_call", { call_id: behind.structured.call_id, wait_ms: 20_000 });
        expect(late.structured.result).to.include({ exit_code: 0, stdout: "kept" });
        expect(await cluster.containerOf(session_id)).to.equal(container);
        await client.call("close_session", { session_id });
        expect(await containersOf(cluster.stack.deployment)).not.to.include(container);
      });
    }

    for (const [how, restart] of AGENT_TRANSPORT === "socket" ? restarts : []) {
      it(`goes on ${how} with code and tests that run: their values and reports come whole`, async () => {
        const { session_id } = (await client.call("create_session")).structured;
        const wait = "import os, time\nwhile not os.path.exists('/home/dev/workspace/go'): time.sleep(0.05)\n";
        const test = `${wait}def test_it():\n    assert 1 == 2\n`;
        await client.call("write_file", { session_id, path: "test_it.py", content: test });
        await client.call("run_code", { session_id, language: "python", code: "kept = 40" });
        const later = { session_id, wait_ms: 0 };
        const code = await client.call("run_code", {
          ...later,
          language: "python",
          code: `${wait}print("went")\nkept + 2`,
        });
        const tests = await client.call("run_tests", { ...later, framework: "pytest" });
        for (const { call_id } of [code.structured, tests.structured])
          await eventually("it runs", async () => {
            return (await client.call("get_call", { session_id, call_id })).structured.state === "detached";
          });
        await restartWorkerOf(session_id, restart);
        await client.call("write_file", { session_id, path: "go", content: "" });
        const resultOf = async ({ structured }: typeof code) =>
          await eventually("it has its end", async () => {
            const { call_id } = structured;
            return (await client.call("get_call", { session_id, call_id, wait_ms: 10_000 })).structured.result;
          });
        expect(await resultOf(code)).to.include({ status: "exited", exit_code: 0, stdout: "went\n", result: "42" });
        const report = (await resultOf(tests)) as { summary: object; failures: { id: string }[] };
        expect(report.summary).to.include({ total: 1, failed: 1 });
        expect(report.failures.map(({ id }) => id)).to.deep.equal(["test_it.py::test_it"]);
        await client.call("close_session", { session_id });
      });
    }

    if (AGENT_TRANSPORT === "socket")
      it("goes on with a call whose output is more than the records keep: its result says what is missing", async () => {
        const { session_id } = (await client.call("create_session")).structured;
        const bytes = 6_000_000;
        const command = `seq -f %0999.0f ${bytes / 1_000}; ${UNTIL_GO}; seq -f %0999.0f 3`;
        const ending = client.call("run_command", { session_id, command, wait_ms: 50_000 });
        const outputBytes = async (): Promise<number> => {
          const { processes } = (await client.call("list_processes", { session_id })).structured;
          return (processes as { output_bytes: number }[])[0]?.output_bytes ?? 0;
        };
        await eventually("all of it is recorded", async () => (await outputBytes()) > bytes, 60_000);
        await restartWorkerOf(session_id, (worker) => cluster.stack.restartWorker(worker));
        await cluster.exec(session_id, "touch go");
        const { structured } = await ending;
        expect(structured).to.include({ status: "exited", exit_code: 0, truncated: true });
        const lines = String(structured.stdout).trimEnd().split("\n");
        expect(lines.slice(-5)).to.deep.equal([
          "started",
          "went on",
          ...[1, 2, 3].map((n) => String(n).padStart(999, "0")),
        ]);
        const leftOut = Number(/\[… ([\d,]+) bytes left out/.exec(String(structured.stdout))?.[1]?.replaceAll(",", ""));
        const shown = Buffer.byteLength(String(structured.stdout).replace(/^\n?\[…[^\n]*\n/, ""));
        expect(leftOut + shown).to.equal(bytes + "started\nwent on\n".length + 3_000);
        await client.call("close_session", { session_id });
      });
  });
