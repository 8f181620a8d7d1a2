import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import Docker from "dockerode";
import { EmbeddedStack } from "../compose/embedded/embedded-stack.ts";

type Structured = Record<string, unknown>;

const BROKEN = "def mean(values):\n    return sum(values) / (len(values) - 1)\n";
const MENDED = "def mean(values):\n    return sum(values) / len(values)\n";
const TEST = "from stats import mean\n\n\ndef test_mean():\n    assert mean([1, 2, 3]) == 2\n";
const SLOW = "for i in 1 2 3 4 5; do echo step $i of 5; sleep 0.4; done";

const say = (text: string): void => console.log(text);
const heading = (text: string): void => say(`\n\x1b[1m▶ ${text}\x1b[0m`);
const indent = (text: string): string => text.replace(/^/gm, "    ").trimEnd();

/** What an agent would do, printed as it happens. Each step is checked; the first that is off ends the demo. */
class DemoAgent {
  readonly #client = new Client({ name: "codegen-mcp-demo", version: "1" }, { versionNegotiation: { mode: "auto" } });
  #session = "";

  async run(url: string): Promise<void> {
    heading(`Connect to ${url}`);
    await this.#client.connect(new StreamableHTTPClientTransport(new URL(url)));
    const { tools } = await this.#client.listTools();
    say(indent(`protocol ${this.#client.getNegotiatedProtocolVersion()}, ${tools.length} tools`));

    heading("create_session");
    const created = await this.#call("create_session", {});
    this.#session = String(created.session_id);

    heading("write_file: a module with a bug, and its test");
    await this.#call("write_file", { path: "stats.py", content: BROKEN });
    await this.#call("write_file", { path: "test_stats.py", content: TEST });

    heading("run_command: the test fails, its output streams in");
    const failing = await this.#call("run_command", { command: "python3 -m pytest -q" });
    assert.equal(failing.exit_code, 1);
    assert.match(String(failing.stdout), /1 failed/);

    heading("write_file: mend it, and run the test again");
    await this.#call("write_file", { path: "stats.py", content: MENDED });
    const passing = await this.#call("run_command", { command: "python3 -m pytest -q" });
    assert.equal(passing.exit_code, 0);
    assert.match(String(passing.stdout), /1 passed/);

    heading("run_command: a slow one, watched while it runs");
    const seen = await this.#call("run_command", { command: SLOW });
    assert.equal(seen.exit_code, 0);
    assert.ok(this.#progressMessages >= 3, "progress came in several messages while the command ran");

    heading("run_command: one that would take a minute, cancelled after its first output");
    await this.#cancelled();

    heading("close_session");
    assert.equal((await this.#call("close_session", {})).closed, true);
    await this.#client.close();
  }

  #progressMessages = 0;

  async #call(name: string, args: Structured, signal?: AbortSignal, onText?: () => void): Promise<Structured> {
    this.#progressMessages = 0;
    const session = this.#session ? { session_id: this.#session } : {};
    const result = await this.#client.callTool(
      { name, arguments: { ...args, ...session } },
      {
        ...(signal ? { signal } : {}),
        onprogress: ({ message }) => {
          if (!message) return;
          this.#progressMessages++;
          say(indent(message).replace(/^ {4}/gm, "  ┆ "));
          onText?.();
        },
      },
    );
    const [first] = result.content;
    if (first?.type === "text") say(indent(first.text));
    assert.notEqual(result.isError, true, `${name} failed`);
    return result.structuredContent as Structured;
  }

  async #cancelled(): Promise<void> {
    const abort = new AbortController();
    const slow = this.#call("run_command", { command: "echo started; sleep 60" }, abort.signal, () => abort.abort());
    await assert.rejects(slow, "the client gave the call up");
    for (let i = 0; i < 100; i++) {
      const { processes } = (await this.#call("list_processes", { limit: 1 })) as { processes: Structured[] };
      if (processes[0]?.status === "killed") return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail("the cancelled command was not killed");
  }
}

const folder = await mkdtemp(join(tmpdir(), "codegen-mcp-demo-"));
let failure: unknown;
try {
  heading("Start Redis, a coordinator and a worker of our own");
  const stack = await EmbeddedStack.start({ folder, env: { POOL_SIZE: "1" } });
  try {
    await new DemoAgent().run(stack.url);
  } finally {
    heading("Stop everything");
    const codes = await stack.stop();
    const filters = { label: [`codegen-mcp.deployment=${stack.deployment}`] };
    const left = await new Docker().listContainers({ all: true, filters });
    assert.equal(left.length, 0, "no container is left behind");
    assert.ok(
      codes.every((code) => code === 0),
      `every process ended cleanly (exit codes ${codes.join(", ")})`,
    );
  }
} catch (error) {
  failure = error;
}
if (failure) {
  console.error(`\nThe demo failed; its logs are in ${folder}\n`, failure);
  process.exit(1);
}
await rm(folder, { recursive: true });
say("\n\x1b[32m✔ every step did what it should\x1b[0m");
