import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { connectModern, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const PROGRAM = readFileSync("test/operate/escape/attempts.py", "utf8");
/** What each attempt is called, and what it tries. */
const ATTEMPTS = [...PROGRAM.matchAll(/^@attempt\ndef (\w+)\(\w+\):\n {4}"""(.+)"""/gm)].map(
  ([, name = "", what = ""]) => ({ name, what }),
);
/** Ours, in the command line of a process: whoever finds it has found that process. */
const MARK = `codegen-mcp-mark-${process.pid}`;
const SECRET = "secret-of-another-session";
const LIMITS = { memory_mb: 256, cpus: 1 };

/** Command lines of this host's processes that bear the mark. */
const marked = (): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // it has ended
      }
    })
    .filter((line) => line.includes(MARK) && !line.startsWith("node") && !line.includes("mocha"));

describe("A program that tries to get out of its sandbox", function () {
  this.timeout(180_000);
  const cluster = useCluster({ WORKSPACE_MB: "128" });
  let client: ToolClient;
  let attacker: unknown;
  let bystander: unknown;

  const open = async (): Promise<unknown> => {
    const { structured, text } = await client.call("create_session", LIMITS);
    expect(structured.session_id, text).to.be.a("string");
    return structured.session_id;
  };
  const run = async (session_id: unknown, command: string, more: object = {}): Promise<ToolAnswer> =>
    await client.call("run_command", { session_id, command, wait_ms: 50_000, timeout_ms: 120_000, ...more });

  before(async () => {
    client = await connectModern(cluster.url);
    [attacker, bystander] = await Promise.all([open(), open()]);
    await client.call("write_file", { session_id: bystander, path: SECRET, content: "kept" });
    await run(bystander, `exec -a ${MARK} sleep 100000`, { background: true });
    await client.call("write_file", { session_id: attacker, path: "attempts.py", content: PROGRAM });
  });
  cluster.beforeStop(() => client.close());

  afterEach("the other session still works, and has its files and processes", async () => {
    const { structured } = await run(bystander, `cat ${SECRET}; pgrep -cf '^${MARK}'`);
    expect(structured).to.include({ exit_code: 0, stdout: "kept1\n" });
  });

  it("has attempts to make", () => {
    expect(ATTEMPTS).to.have.length.above(20);
  });

  const ARGUMENTS: Record<string, string> = { other_files: SECRET, other_processes: MARK };
  for (const { name, what } of ATTEMPTS) {
    it(`is refused ${what}`, async () => {
      const { structured } = await run(attacker, `python3 attempts.py ${name} ${ARGUMENTS[name] ?? ""}`);
      const lines = String(structured.stdout).trim().split("\n");
      expect(structured.exit_code, `${structured.stdout}${structured.stderr}`).to.equal(0);
      for (const line of lines) expect(line).to.match(/^refused: /);
      expect((await run(attacker, "echo on")).structured, "and its own session goes on").to.include({ stdout: "on\n" });
    });
  }

  it("is killed at its memory's limit, alone", async () => {
    const { structured } = await run(
      attacker,
      "python3 -c 'x = bytearray(8 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1'",
    );
    expect(structured, JSON.stringify(structured)).to.include({ status: "killed" });
    expect((await run(attacker, "echo on")).structured).to.include({ stdout: "on\n" });
  });

  it("ends with everything that a fork bomb made", async () => {
    const { structured } = await run(attacker, "bomb() { bomb | bomb & }; bomb; sleep 100", { timeout_ms: 3_000 });
    expect(structured.status).to.be.oneOf(["timed_out", "exited"]); // bash may itself be refused its fork
    const left = async (): Promise<boolean> => (await run(attacker, "pgrep -fc '[b]omb'")).structured.stdout === "0\n";
    await eventually("nothing of it is left", left);
  });

  it("cannot fill anybody's memory with output", async () => {
    const used = async (): Promise<number> =>
      Number(/used_memory:(\d+)/.exec(await cluster.redis.info("memory"))?.[1] ?? Number.NaN);
    const before = await used();
    const { structured } = await run(attacker, "yes | head -c 60000000", { wait_ms: 50_000 });
    expect(structured).to.include({ truncated: true });
    expect((await used()) - before).to.be.below(32 << 20); // of 60 MB
  });

  it("gains nothing by killing the agent and dialling in its place", async () => {
    const impostor = `
import os, signal, socket, glob, threading
def dial():
  while True:
    try:
      peer = socket.socket(socket.AF_UNIX); peer.connect("/run/codegen/agent.sock"); peer.send(b"\\xff" * 64 + b"x" * 4096)
    except OSError: pass
for _ in range(4): threading.Thread(target=dial, daemon=True).start()
for path in glob.glob("/proc/[0-9]*/cmdline"):
  if b"agent.cjs" in open(path, "rb").read(): os.kill(int(path.split("/")[2]), signal.SIGKILL)
signal.pause()`;
    await client.call("write_file", { session_id: attacker, path: "impostor.py", content: impostor });
    const { structured } = await run(attacker, "exec python3 impostor.py");
    expect(structured.status, JSON.stringify(structured)).to.not.equal("running");
    const goesOn = async (): Promise<boolean> => (await run(attacker, "echo on")).structured.stdout === "on\n";
    await eventually("its own session goes on", goesOn, 60_000);
  });

  it("does not survive the end of its session", async () => {
    const stubborn = `
import os, signal, sys
for s in range(1, 32):
  try: signal.signal(s, signal.SIG_IGN)
  except OSError: pass
for _ in range(3):
  if os.fork(): os._exit(0)
  os.setsid()
os.execvp("sleep", ["${MARK}-stubborn", "100000"])`;
    const session = await open();
    await client.call("write_file", { session_id: session, path: "stubborn.py", content: stubborn });
    await run(session, "python3 stubborn.py");
    const lives = (): boolean => marked().some((line) => line.startsWith(`${MARK}-stubborn`));
    await eventually("it runs", lives);
    await client.call("close_session", { session_id: session });
    await eventually("it has ended", () => !lives());
  });
});
