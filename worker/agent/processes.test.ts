import { expect } from "chai";
import type { TestSandbox } from "../../test/support/test-sandbox.ts";
import { useDocker } from "../../test/support/use-docker.ts";

describe("A command in a sandbox", () => {
  const docker = useDocker();
  let sandbox: TestSandbox;
  before(async () => {
    sandbox = await docker.shared();
  });

  it("gives its exit code, and its output with stdout and stderr apart", async () => {
    const result = await sandbox.run("echo out; echo err >&2; exit 3");
    expect(result).to.include({
      exitCode: 3,
      signal: "",
      timedOut: false,
      killed: false,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(result.outputBytes).to.equal(8);
  });

  it("says which signal ended it", async () => {
    expect(await sandbox.run("kill -SEGV $$")).to.include({ exitCode: -1, signal: "SIGSEGV" });
  });

  it("runs in the workspace, with the session's and its own environment", async () => {
    const { stdout } = await sandbox.run("pwd; echo $HOME $OWN; cd /tmp && pwd", { env: { OWN: "ä b" } });
    expect(stdout).to.equal("/home/dev/workspace\n/home/dev ä b\n/tmp\n");
  });

  it("can open its standard streams by path, as scripts do", async () => {
    const result = await sandbox.run("echo e > /dev/stderr; echo o > /dev/stdout; cat /dev/stdin", { stdin: "in" });
    expect(result).to.include({ exitCode: 0, stdout: "o\nin", stderr: "e\n" });
  });

  it("may be as long as the kernel takes, which is more than a pipe holds", async () => {
    const env = { LONG: "e".repeat(120_000) };
    const { stdout } = await sandbox.run(`: ${"c".repeat(120_000)}; echo ran with ${"$"}{#LONG}`, { env });
    expect(stdout).to.equal("ran with 120000\n");
  });

  it("has no stdin unless it is given", async () => {
    expect(await sandbox.run("cat; echo done")).to.include({ stdout: "done\n" });
  });

  it("takes input later, and its end", async () => {
    const { processId, exit } = await sandbox.start("cat #stdin");
    await sandbox.sandbox.writeStdin(processId, Buffer.from("one "));
    await sandbox.sandbox.writeStdin(processId, Buffer.from("two"), true);
    expect(await exit).to.include({ exitCode: 0, stdout: "one two" });
  });

  it("may leave a megabyte of input unread, then more is refused and it goes on", async () => {
    const { processId, exit } = await sandbox.start("sleep 60 #stdin");
    const megabyte = Buffer.alloc(1024 * 1024 + 1);
    await sandbox.sandbox.writeStdin(processId, megabyte);
    const refusal = await sandbox.sandbox.writeStdin(processId, megabyte).then(
      () => sandbox.sandbox.writeStdin(processId, megabyte).catch((error) => error),
      (error) => error,
    );
    expect(refusal).to.include({ code: "QUEUE_FULL" });
    await sandbox.sandbox.kill(processId, "SIGKILL");
    expect(await exit).to.include({ killed: true });
  });

  it("ends at its deadline with everything it started, however that tries to leave", async () => {
    const result = await sandbox.run(
      `setsid sleep 1000 &
       (setsid bash -c 'sleep 1001 & exec env -i setsid sleep 1002' &)
       env -i bash -c '(trap "" TERM HUP INT; while :; do sleep 1003; done) & disown' &
       python3 -c 'import os
if os.fork() == 0:
  os.setsid()
  if os.fork() == 0:
    os.execve("/bin/sleep", ["sleep", "1004"], {})' ; sleep 1005`,
      { timeoutMs: 600 },
    );
    expect(result).to.include({ timedOut: true, killed: false });
    expect(await sandbox.processes()).to.deep.equal([]);
  });

  it("is killed with its tree even when it has killed its runner", async () => {
    const result = await sandbox.run("env -i setsid sleep 1000 & kill -9 $PPID; sleep 1001");
    expect(result).to.include({ exitCode: -1, signal: "SIGKILL", killed: true });
    expect(await sandbox.processes()).to.deep.equal([]);
  });

  it("goes on when the process is killed that forks runners, and so does the next one", async () => {
    const serverOf = "ps -o ppid= -p $PPID"; // the parent of a command is its runner
    const result = await sandbox.run(`kill -9 $(${serverOf}); sleep 0.1; [ $(${serverOf}) = 1 ] && echo went on`);
    expect(result).to.include({ exitCode: 0, stdout: "went on\n" });
    const next = await Promise.all(["one", "two"].map((word) => sandbox.run(`echo ${word}`)));
    expect(next.map(({ stdout }) => stdout)).to.deep.equal(["one\n", "two\n"]);
  });

  it("starts or is refused, but never hangs, while runners are killed as soon as they are there", async () => {
    const { exit } = await sandbox.start(`exec python3 -c '${KILL_RUNNERS}'`);
    let isOver = false;
    const killer = exit.finally(() => {
      isOver = true;
    });
    while (!isOver) await sandbox.run("true").catch(() => {});
    expect(await killer).to.include({ exitCode: 0, stdout: "killed\n", stderr: "" });
    expect(await sandbox.run("echo on")).to.include({ exitCode: 0, stdout: "on\n" });
  });

  it("gets TERM first and may end by itself", async () => {
    const command = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    const { processId, exit, says } = await sandbox.start(command);
    await says("ready");
    await sandbox.sandbox.kill(processId, "SIGTERM");
    expect(await exit).to.include({ exitCode: 7, killed: true, stdout: "ready\nbye\n" });
  });

  it("gets any other signal without being ended by us", async () => {
    const command = "trap 'echo hup; exit 0' HUP; echo ready; while :; do sleep 0.05; done";
    const { processId, exit, says } = await sandbox.start(command);
    await says("ready");
    expect(await sandbox.sandbox.kill(processId, "SIGHUP")).to.equal(1);
    expect(await exit).to.include({ exitCode: 0, killed: false, stdout: "ready\nhup\n" });
  });

  it("ends while something it left behind goes on, which can still be killed", async () => {
    const { processId, exit } = await sandbox.start("(while :; do echo later; sleep 0.01; done) & echo now");
    const result = await exit;
    expect(result.stdout).to.match(/^(later\n)*now\n/);
    expect(result).to.include({ exitCode: 0, killed: false });
    expect(result.leftBehind).to.be.greaterThan(0);
    expect(await sandbox.processes()).to.have.length.greaterThan(0);
    await sandbox.sandbox.kill(processId, "SIGKILL");
    expect(await sandbox.processes()).to.deep.equal([]);
  });

  it("may close its stdout and live on; its end is still told", async () => {
    const result = await sandbox.run("echo first; exec >&- 2>&-; sleep 0.3; exit 4");
    expect(result).to.include({ exitCode: 4, stdout: "first\n" });
    expect(result.durationMs).to.be.at.least(300);
  });

  it("gives bytes as they are", async () => {
    const bytes: Buffer[] = [];
    sandbox.beforeAck = ({ data }) => void bytes.push(Buffer.from(data));
    await sandbox.run(`python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 300)'`);
    sandbox.beforeAck = () => {};
    expect(
      Buffer.concat(bytes).equals(
        Buffer.concat(Array(300).fill(Buffer.from(Array.from({ length: 256 }, (_, i) => i)))),
      ),
    ).to.equal(true);
  });

  it("may write 100 MB to a slow reader: all arrives in order, and never more than the window waits", async () => {
    let nextOffset = 0;
    let unacknowledged = 0;
    let worst = 0;
    let isRight = true;
    sandbox.beforeAck = async ({ offset, data }) => {
      isRight &&= offset === nextOffset && data.every((byte, i) => byte === ((offset + i) % 16 === 15 ? 10 : 120));
      nextOffset += data.length;
      unacknowledged += data.length;
      worst = Math.max(worst, unacknowledged);
      await tick();
      unacknowledged -= data.length;
    };
    const { exitCode, outputBytes } = await sandbox.run("yes xxxxxxxxxxxxxxx | head -c 100000000");
    sandbox.beforeAck = () => {};
    expect({ exitCode, outputBytes, isRight }).to.deep.equal({ exitCode: 0, outputBytes: 100_000_000, isRight: true });
    expect(worst).to.be.below(1.4 * 1024 * 1024);
  });

  it("leaves no zombie after twenty times thousands of forks, half of them orphans", async function () {
    this.timeout(300_000);
    // A fork takes about 0.3 ms whatever runs it: the 20 × 10,000 need a minute and more (FORKS=10000).
    const later = Number(process.env.FORKS ?? 1_000);
    for (const forks of [10_000, ...Array<number>(19).fill(later)]) {
      const command = `i=0; while [ $i -lt ${forks / 2} ]; do (: &); i=$((i+1)); done`;
      expect(await sandbox.run(`sh -c '${command}'`)).to.include({ exitCode: 0, stderr: "" });
    }
    expect(await sandbox.processes()).to.deep.equal([]);
  });

  it("cannot fork without end: a fork bomb ends at its deadline and the session goes on", async () => {
    const result = await sandbox.run("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1000", { timeoutMs: 1_000 });
    expect(result).to.include({ timedOut: true });
    expect(await sandbox.processes()).to.deep.equal([]);
  });

  it("is killed when it takes all memory, told so, and the session goes on", async () => {
    const result = await sandbox.run(`python3 -c 'x = bytearray(10**10)
for i in range(0, len(x), 4096): x[i] = 1' || python3 -c 'x = []
while True: x.append(bytes(10**7))'; exit $?`);
    expect(result.outOfMemory).to.equal(true);
    expect(await sandbox.run("echo on")).to.include({ exitCode: 0, stdout: "on\n", outOfMemory: false });
  });

  it("gets ENOSPC from a full disk, long before memory runs out, and the session goes on", async () => {
    const result = await sandbox.run(
      "head -c 10G /dev/zero > big; head -c 10G /dev/zero > /tmp/big; head -c 10G /dev/zero > /dev/shm/big",
    );
    expect(result.stderr.match(/No space left on device/g)).to.have.length(3);
    expect(result.outOfMemory).to.equal(false);
    expect(await sandbox.run("rm big /tmp/big /dev/shm/big && echo on")).to.include({ stdout: "on\n" });
    const inodes = await sandbox.run("for i in $(seq 20000); do : > f$i || exit 9; done");
    expect(inodes.exitCode).to.equal(9);
    expect(await sandbox.run("find . -name 'f*' -delete && echo on")).to.include({ stdout: "on\n" });
  });

  it("is refused with a reason when it cannot start", async () => {
    const refused = (command: string, options = {}) =>
      sandbox.run(command, options).then(
        () => "it ran",
        (error) => error.code,
      );
    expect(await refused("true", { cwd: "nowhere" })).to.equal("NOT_FOUND");
    expect(await refused("true", { cwd: "/etc/passwd" })).to.equal("NOT_A_DIRECTORY");
    expect(await refused("true\0")).to.equal("INVALID_ARGUMENT");
    expect(await refused(`: ${"x".repeat(200_000)}`)).to.equal("INVALID_ARGUMENT");
    expect(await refused("true", { env: { "A=B": "c" } })).to.equal("INVALID_ARGUMENT");
  });

  it("is never started twice under one id", async () => {
    const { processId, exit } = await sandbox.start("echo once");
    await exit;
    const again = await sandbox.sandbox.spawn({ processId, command: "echo twice" }).catch((error) => error);
    expect(again.cause).to.include({ code: "ALREADY_STARTED" });
  });
});

const tick = (): Promise<undefined> => new Promise((resolve) => void setImmediate(() => resolve(undefined)));

/** Kills a hundred runners, all but its own: the children of the process that forks them. */
const KILL_RUNNERS = `
import os
def parent(pid):
  try:
    with open(f"/proc/{pid}/stat") as file: return int(file.read().rsplit(")", 1)[1].split()[1])
  except OSError: return 0
own = os.getppid()
server, left = parent(own), 100
while left > 0:
  for name in os.listdir("/proc"):
    if not name.isdigit() or int(name) == own or parent(name) != server: continue
    try: os.kill(int(name), 9)
    except OSError: continue
    left -= 1
print("killed")`;
