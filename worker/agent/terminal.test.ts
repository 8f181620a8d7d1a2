import { expect } from "chai";
import type { TestSandbox } from "../../test/support/test-sandbox.ts";
import { useDocker } from "../../test/support/use-docker.ts";

const terminal = { rows: 50, columns: 132 };

describe("A command with a terminal", () => {
  const docker = useDocker();
  let sandbox: TestSandbox;
  before(async () => {
    sandbox = await docker.shared();
  });
  const type = (processId: string, text: string) => sandbox.sandbox.writeStdin(processId, Buffer.from(text));

  it("has one of its own, of the size that it was given, on all three streams", async () => {
    const command = "test -t 0 && test -t 1 && test -t 2 && stty size; tty; echo err >&2; exit 3";
    const result = await sandbox.run(command, { terminal });
    expect(result).to.include({ exitCode: 3, stderr: "" });
    expect(result.stdout).to.match(/^50 132\r\n\/dev\/pts\/\d+\r\nerr\r\n$/);
  });

  it("is typed to, echoes, and hears Ctrl-C and the end of input", async () => {
    const command = "trap 'echo interrupted' INT; read -r line; echo \"got $line\"; sleep 60; cat; echo over";
    const { processId, exit, says } = await sandbox.start(command, { terminal });
    await type(processId, "hello\n");
    await says("got hello");
    await type(processId, "\x03");
    await says("interrupted");
    await type(processId, "last\n");
    await sandbox.sandbox.writeStdin(processId, Buffer.alloc(0), true);
    const result = await exit;
    expect(result).to.include({ exitCode: 0, killed: false });
    expect(result.stdout)
      .to.include("hello\r\ngot hello\r\n")
      .and.to.match(/last\r\nlast\r\nover\r\n$/);
  });

  it("lets an interactive shell control jobs", async () => {
    const { processId, exit, says } = await sandbox.start("PS1='$ ' exec bash --norc -i", { terminal });
    await says("$ ");
    await type(processId, "bash -c 'echo in front: $((40 + 2)); exec sleep 60'\n");
    await says("in front: 42"); // its own words and no echo: Ctrl-Z comes to it, not to the shell
    await type(processId, "\x1a");
    await says("Stopped");
    // Bash leaves at the second word where it has not heard yet that its stopped job was killed.
    await type(processId, "kill -9 %1; exit 5\nexit 5\n");
    expect(await exit).to.include({ exitCode: 5 });
    expect(await sandbox.processes()).to.deep.equal([]);
  });

  it("loses nothing of a long output to a slow reader", async () => {
    sandbox.beforeAck = () => new Promise((resolve) => setImmediate(resolve));
    const { stdout, exitCode } = await sandbox.run("stty -onlcr; seq 300000", { terminal });
    sandbox.beforeAck = () => {};
    expect(exitCode).to.equal(0);
    expect(stdout === Array.from({ length: 300_000 }, (_, i) => `${i + 1}\n`).join("")).to.equal(true);
  });

  it("takes more input than a terminal holds, as fast as it is read", async () => {
    const command = "stty raw -echo; echo ready; head -c 200000 | wc -c";
    const { processId, exit, says } = await sandbox.start(command, { terminal });
    await says("ready");
    for (let i = 0; i < 4; i++) await type(processId, "x".repeat(50_000));
    expect((await exit).stdout).to.match(/200000/);
  });

  it("ends when its main process does, whatever keeps the terminal open, and is killed with its tree", async () => {
    const left = await sandbox.start(
      "(trap '' HUP; : > deaf; sleep 1000) & until test -e deaf; do sleep 0.01; done; echo started",
      { terminal },
    );
    expect(await left.exit).to.include({ exitCode: 0, stdout: "started\r\n" });
    await sandbox.sandbox.kill(left.processId, "SIGKILL");
    const { processId, exit, says } = await sandbox.start("setsid sleep 1000 & echo ready; sleep 1000", { terminal });
    await says("ready");
    await sandbox.sandbox.kill(processId, "SIGTERM");
    expect(await exit).to.include({ killed: true });
    expect(await sandbox.processes()).to.deep.equal([]);
  });
});
