import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { type RunResult, TestSandbox } from "../../test/support/test-sandbox.ts";
import { SANDBOX_IMAGE, useDocker } from "../../test/support/use-docker.ts";
import { WINDOW_BYTES } from "./output-window.ts";

const QUICK_RUNS = 50;

describe("The shell of a command", () => {
  const docker = useDocker();
  let sandbox: TestSandbox;
  before(async () => {
    sandbox = await docker.shared();
  });

  /** What all that waits for a command gets from one that was started before it, and ends after `during`. */
  const signalled = async (signal: string, during: () => Promise<unknown>): Promise<RunResult> => {
    const { processId, exit } = await sandbox.start(`exec python3 -c '${SIGNAL_WAITING}' ${signal} #stdin`);
    await during();
    await sandbox.sandbox.writeStdin(processId, Buffer.from("now"), true);
    return await exit;
  };

  it("is started as /bin/bash -c, with its three standard streams and nothing else open", async () => {
    const { stdout } = await sandbox.run('echo "$0 $- $SHLVL $#"; ls /proc/$$/fd; :');
    expect(stdout).to.equal("/bin/bash hBc 1 0\n0\n1\n2\n");
  });

  it("has the command's environment, and hands on nothing of ours", async () => {
    const { processId, exit } = await sandbox.start("env; printenv CODEGEN_CALL; sh -c env", { env: { OWN: "own" } });
    const { stdout } = await exit;
    expect(stdout.match(/^OWN=own$/gm)).to.have.length(2);
    expect(stdout).to.include(`\n${processId}\n`);
    expect(stdout).not.to.match(/^LD_|WAITING/m);
  });

  it("is shown with its command and its call, and with no variable that it does not have", async () => {
    const command = "ps -o args= -p $$; tr '\\0' '\\n' < /proc/$$/environ; :";
    const { processId, exit } = await sandbox.start(command);
    const { stdout } = await exit;
    expect(stdout.split("\n")[0]!.trimEnd()).to.equal(`/bin/bash -c ${command}`);
    expect(stdout).to.match(new RegExp(`^CODEGEN_CALL=${processId}$`, "m"));
    expect(stdout.replace(command, "")).not.to.match(/LD_PRELOAD|WAITING/);
  });

  it("runs a command that is longer than what is shown of it, to its last word", async () => {
    const { stdout } = await sandbox.run(`: ${"x".repeat(5_000)}; echo "$BASH_EXECUTION_STRING" | wc -c; echo last`);
    expect(stdout).to.match(/^50\d\d\nlast\n$/);
  });

  it("heeds what its loader and its library take from the environment", async () => {
    expect((await sandbox.run(":", { env: { LD_PRELOAD: "/no/such.so" } })).stderr).to.include("/no/such.so");
    expect((await sandbox.run(":", { env: { LD_DEBUG: "libs" } })).stderr).to.include("initialize program: /bin/bash");
    const { stdout } = await sandbox.run("echo $LD_LIBRARY_PATH; printenv LD_LIBRARY_PATH", {
      env: { LD_LIBRARY_PATH: "/srv/lib" },
    });
    expect(stdout).to.equal("/srv/lib\n/srv/lib\n");
  });

  it("heeds what bash takes from the environment when it starts", async () => {
    const variables = { POSIXLY_CORRECT: "1", "BASH_FUNC_greet%%": "() { echo hello; }", BASHOPTS: "nullglob" };
    const { stdout } = await sandbox.run("[[ -o posix ]] && greet; shopt -q nullglob && echo nullglob", {
      env: variables,
    });
    expect(stdout).to.equal("hello\nnullglob\n");
    await sandbox.run("echo 'echo from BASH_ENV' > rc");
    expect((await sandbox.run("echo command", { env: { BASH_ENV: "rc" } })).stdout).to.equal(
      "from BASH_ENV\ncommand\n",
    );
  });

  it("has the locale that its environment names, and complains of one that there is not", async () => {
    const lengthIn = (LC_ALL: string) => sandbox.run(`word=ä; echo ${"$"}{#word}`, { env: { LC_ALL } });
    expect((await lengthIn("C.UTF-8")).stdout).to.equal("1\n");
    expect((await lengthIn("C")).stdout).to.equal("2\n");
    expect((await lengthIn("xx_XX.UTF-8")).stderr).to.include("cannot change locale (xx_XX.UTF-8)");
  });

  it("is not there before its command: signals to all that waits between two commands do not reach the second", async () => {
    for (const signal of ["TERM", "HUP", "INT", "USR1", "RTMIN", "STOP"]) {
      const sent = await signalled(signal, () => sandbox.run("true"));
      expect(sent).to.include({ exitCode: 0, stdout: "sent" });
      const next = await sandbox.run("trap 'echo late' TERM HUP INT USR1 RTMIN; /bin/true; echo next");
      expect(next).to.include({ exitCode: 0, signal: "", stdout: "next\n" });
    }
  });

  it("starts even when all that waits was killed between two commands", async () => {
    for (let i = 0; i < 5; i++) {
      expect(await signalled("KILL", () => sandbox.run("true"))).to.include({ exitCode: 0, stdout: "sent" });
      expect(await sandbox.run("echo next; exit 3")).to.include({ exitCode: 3, stdout: "next\n", stderr: "" });
    }
  });

  it("is refused a folder that it may not enter, with the reason", async () => {
    await sandbox.run("mkdir closed && chmod 0 closed");
    for (const options of [{}, { terminal: { rows: 24, columns: 80 } }]) {
      const refusal = await sandbox.run("true", { cwd: "closed", ...options }).catch((error) => error);
      expect(refusal.cause ?? refusal).to.include({ code: "PERMISSION_DENIED" });
    }
    expect(await sandbox.run("echo on")).to.include({ exitCode: 0, stdout: "on\n" });
  });

  it("may end at once: what it said arrives whole, be it less, as much or more than a pipe holds", async () => {
    for (const bytes of [1, 65_535, 65_536, 65_537, 131_072, 300_000]) {
      const result = await sandbox.run(`printf '%${bytes}s' o; printf '%${bytes}s' e >&2; exit 5`);
      expect(result).to.include({ exitCode: 5, outputBytes: 2 * bytes });
      expect(result.stdout === "o".padStart(bytes) && result.stderr === "e".padStart(bytes)).to.equal(true);
    }
  });

  it("may end at once while others hold its pipes: what they say in the next moment is still read", async () => {
    const { processId, exit } = await sandbox.start("(printf '%100000s' o &); { echo e >&2; sleep 60; } & exit 5");
    const result = await exit;
    expect(result).to.include({ exitCode: 5, stderr: "e\n" });
    expect(result.stdout === "o".padStart(100_000)).to.equal(true);
    await sandbox.sandbox.kill(processId, "SIGKILL");
  });

  it("may end at once and leave a flood behind: it waits for the worker, which still gets answers", async () => {
    const own = await docker.claim();
    for (let rounds = 0; rounds < 3_000; rounds += 300) {
      let bytes = 0;
      const acknowledge: (() => void)[] = [];
      const isFull = new Promise<void>((resolve) => {
        own.beforeAck = ({ data }) => {
          bytes += data.length;
          if (bytes >= WINDOW_BYTES) resolve();
          return new Promise((resolve) => void acknowledge.push(resolve));
        };
      });
      const { processId, exit } = await own.start(
        `cat /dev/zero & for ((i = 0; i < ${rounds}; i++)); do :; done; exit 5`,
      );
      await isFull;
      await own.sandbox.usage(); // its answer comes after all that was said before
      expect(bytes).to.be.below(1.25 * WINDOW_BYTES);
      await own.sandbox.kill(processId, "SIGKILL");
      own.beforeAck = () => {};
      for (const resolve of acknowledge) resolve();
      await exit;
    }
    await own.sandbox.remove();
  });

  it("leaves no descriptor open in the agent, however it starts and ends", async function () {
    const { State } = await docker.docker.getContainer(sandbox.sandbox.containerId).inspect();
    const open = () => readdirSync(`/proc/${childOf(State.Pid)}/fd`).length;
    const ways: [what: string, once: () => Promise<unknown>][] = [
      ["quick", () => sandbox.run("true")],
      ["slower", () => sandbox.run("sleep 0.01")],
      ["killed", () => sandbox.run("kill -KILL $$")],
      ["without its runner", () => sandbox.run("kill -KILL $PPID")],
      ["outlived", () => sandbox.run("sleep 0.01 & exit 3")],
      ["refused", () => sandbox.run("true", { cwd: "/root" }).catch(() => {})],
      ["with input", () => sandbox.run("true", { stdin: "input" })],
      ["in a terminal", () => sandbox.run("true", { terminal: { rows: 24, columns: 80 } })],
      ["after the one that waited was killed", () => signalled("KILL", () => sandbox.run("true"))],
    ];
    for (const [what, once] of ways) {
      await once();
      let before: number;
      try {
        before = open();
      } catch {
        return this.skip(); // the engine is on another machine, or we may not look into its processes
      }
      for (let i = 0; i < QUICK_RUNS; i++) await once();
      expect(open(), what).to.be.below(before + QUICK_RUNS / 2);
    }
  });
});

/** A bash that starts anew without what is preloaded, as a script may that wraps it. */
const WRAP_BASH = `mv /bin/bash /bin/bash.real
printf '#!/bin/sh\\nunset LD_PRELOAD\\nexec /bin/bash.real "$@"\\n' > /bin/bash
chmod 755 /bin/bash`;

/** Sandboxes of an image that `script` makes of the usual one. */
const useImage = (script: string): (() => Promise<TestSandbox>) => {
  const image = `codegen-mcp-test/bash:${randomBytes(5).toString("hex")}`;
  const docker = useDocker("socket", [["other", image]]);
  before(async () => {
    const [repo, tag] = image.split(":");
    const made = await docker.docker.createContainer({ Image: SANDBOX_IMAGE, User: "0", Cmd: ["sh", "-c", script] });
    await made.start();
    await made.wait();
    await made.commit({ repo, tag });
    await made.remove();
  });
  after(async () => await docker.docker.getImage(image).remove());
  return async () => TestSandbox.claim(await docker.host.create({ image: "other", hasEgress: false }));
};

describe("The shell of a command in an image with the locales of all the world", () => {
  const claim = useImage("truncate -s 64M /usr/lib/locale/locale-archive");

  it("takes none of their memory", async () => {
    const sandbox = await claim();
    const { stdout } = await sandbox.run("sed -n 's/^VmRSS:[^0-9]*//p' /proc/$$/status; :");
    expect(Number.parseInt(stdout, 10)).to.be.within(1, 16 * 1024); // KiB
    await sandbox.sandbox.remove();
  });
});

describe("The shell of a command in an image whose bash cannot be held back", () => {
  const claim = useImage(WRAP_BASH);

  it("runs all the same, with a terminal too", async () => {
    const sandbox = await claim();
    const command = "echo out; echo err >&2; printenv OWN LD_PRELOAD; cat; exit 3";
    const result = await sandbox.run(command, { env: { OWN: "own" }, stdin: "in" });
    expect(result).to.include({ exitCode: 3, stdout: "out\nown\nin", stderr: "err\n" });
    const { stdout } = await sandbox.run("tty", { terminal: { rows: 24, columns: 80 } });
    expect(stdout).to.match(/^\/dev\/pts\/\d+\r\n$/);
    await sandbox.sandbox.remove();
  });

  it("is refused with the reason when it cannot start", async () => {
    const sandbox = await claim();
    const refusal = await sandbox.run("true", { cwd: "/root" }).catch((error) => error);
    expect(refusal.cause ?? refusal).to.include({ code: "PERMISSION_DENIED" });
    expect(await sandbox.run("echo on")).to.include({ stdout: "on\n" });
    await sandbox.sandbox.remove();
  });
});

/** Waits for its input's end, then for what waits for a command, signals all of it, and waits until what was killed is gone. */
const SIGNAL_WAITING = `
import os, signal, sys
number = getattr(signal, "SIG" + sys.argv[1])
def read(path):
  try:
    with open(path) as file: return file.read()
  except OSError: return ""
def parent(pid): return int((read(f"/proc/{pid}/stat").split() or "0000")[3])
def waiting():
  found = [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getppid()) and read(f"/proc/{p}/comm") == "init\\n"]
  return found if any(parent(parent(pid)) in found for pid in found) else []
sys.stdin.read()
found = []
while not found: found = waiting()
for pid in found: os.kill(pid, number)
while number == signal.SIGKILL and any(os.path.exists(f"/proc/{pid}") for pid in found): pass
sys.stdout.write("sent")`;

/** The first child of a process of this machine. */
const childOf = (pid: number): string => readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ")[0]!;
