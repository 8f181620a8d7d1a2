import { expect } from "chai";
import { failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

type Structured = Record<string, unknown>;

describe("Processes", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  cluster.withSession((...own) => {
    [client, session_id] = own;
  });
  const run = async (args: Structured): Promise<Structured> =>
    (await client.call("run_command", { session_id, ...args })).structured;
  const write = async (process_id: unknown, data: string, more: Structured = {}) =>
    await client.call("write_process", { process_id, data, ...more });
  /** Reads on until the output holds `text`, or the process is over. */
  const until = async (process_id: unknown, text: string): Promise<string> => {
    let output = "";
    for (let cursor: unknown; ; ) {
      const args = { process_id, wait_ms: 20_000, ...(cursor ? { cursor } : {}) };
      const { structured } = await client.call("read_process", args);
      output += structured.output;
      cursor = structured.next_cursor;
      if (output.includes(text) || (structured.status !== "running" && !structured.has_more)) return output;
    }
  };

  it("in the background are written to, until their input is closed", async () => {
    const { process_id } = await run({ command: 'while read -r x; do echo "<$x>"; done; echo over', background: true });
    const written = await write(process_id, "größer\n");
    expect(written.structured).to.deep.include({ process_id, status: "running" });
    expect(written.text).to.include("read_process");
    expect(await until(process_id, ">")).to.equal("<größer>\n");
    await write(process_id, "last\n", { close: true, session_id });
    expect(await until(process_id, "over")).to.equal("<größer>\n<last>\nover\n");
    const late = await write(process_id, "late");
    expect(failureOf(late), late.text).to.equal("NOT_FOUND");
  });

  it("get the same input once, however often it is sent with a key", async () => {
    const { process_id } = await run({ command: "cat", background: true });
    for (let i = 0; i < 3; i++) await write(process_id, "once\n", { idempotency_key: "w1" });
    await write(process_id, "", { close: true });
    expect(await until(process_id, "never")).to.equal("once\n");
    const other = await write(process_id, "other", { idempotency_key: "w1" });
    expect(failureOf(other)).to.equal("IDEMPOTENCY_CONFLICT");
  });

  it("have a terminal where it is asked for", async () => {
    const { stdout, stderr, exit_code } = await run({ command: "tty >/dev/null && stty size; echo $TERM", pty: true });
    expect({ stdout, stderr, exit_code }).to.deep.equal({
      stdout: "40 120\r\nxterm-256color\r\n",
      stderr: "",
      exit_code: 0,
    });
    const sized = await run({ command: "stty size", pty: true, env: { LINES: "24", COLUMNS: "80", TERM: "dumb" } });
    expect(sized.stdout).to.equal("24 80\r\n");

    const python = await run({ command: "python3 -q", pty: true, background: true });
    await until(python.process_id, ">>>");
    await write(python.process_id, "6 * 7\n");
    expect(await until(python.process_id, "42")).to.include("42");
    await write(python.process_id, "", { close: true });
    await until(python.process_id, "never");
    const { structured } = await client.call("read_process", { process_id: python.process_id });
    expect(structured).to.include({ status: "exited", exit_code: 0 });
  });

  it("refuse what no process can take", async () => {
    const { process_id } = await run({ command: "sleep 60", background: true, stdin: "all there is" });
    expect(failureOf(await write(process_id, "x"))).to.equal("INVALID_ARGUMENT");
    await client.call("kill_process", { process_id });
    const deaf = (await run({ command: "sleep 60", background: true })).process_id;
    const megabyte = "x".repeat(1_000_000);
    let refusal: string | undefined;
    for (let i = 0; i < 4 && !refusal; i++) refusal = failureOf(await write(deaf, megabyte));
    expect(refusal).to.equal("QUEUE_FULL");
    await client.call("kill_process", { process_id: deaf });
    expect(failureOf(await write("proc_nobody", "x"))).to.equal("NOT_FOUND");
    expect(failureOf(await client.call("write_process", { session_id, data: "x" }))).to.equal("INVALID_ARGUMENT");
  });

  it("leave their whole output in a log that the result names", async () => {
    const result = await client.call("run_command", { session_id, command: "seq 1000000", wait_ms: 50_000 });
    const { log_path, truncated, process_id, stdout } = result.structured;
    expect(truncated).to.equal(true);
    expect(stdout).to.include(log_path);
    const check = await run({ command: `seq 1000000 | cmp - ${log_path} && echo same` });
    expect(check.stdout).to.equal("same\n");
    const page = await client.call("read_process", { process_id });
    expect(page.structured).to.include({ log_path });
    expect(page.text).to.include(log_path);
    const short = await run({ command: "seq 10" });
    expect(short).to.not.have.property("log_path");
  });
});
