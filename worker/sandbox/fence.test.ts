import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { monotonicMs } from "../../shared/monotonic.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { TestSandbox } from "../../test/support/test-sandbox.ts";
import { useDocker } from "../../test/support/use-docker.ts";
import { VOUCHED_FOR_EVER } from "./vouch.ts";

const SOON_MS = 50;
/** The agent's fence closes soon; the worker's own would let everything pass. */
const agentOnly = () => ({ startsUntilMs: Number.POSITIVE_INFINITY, runsUntilMs: monotonicMs() + SOON_MS });
/** The worker may start nothing; the agent's fence, which closes later, is not reached. */
const LAPSED = { startsUntilMs: 0, runsUntilMs: Number.POSITIVE_INFINITY };
const TICKING = "echo begun; setsid bash -c 'while :; do sleep 0.02; done' & while :; do sleep 0.02; done";

describe("A sandbox's fences", () => {
  const docker = useDocker();
  let shared: TestSandbox;
  before(async () => {
    shared = await docker.shared();
  });
  afterEach(async () => await shared.sandbox.thaw(VOUCHED_FOR_EVER));

  const isStopped = async (): Promise<boolean> => {
    const container = docker.docker.getContainer(shared.sandbox.containerId);
    const { Processes } = await container.top({ ps_args: "-eo pid,stat,args" });
    const others = (Processes as string[][]).filter(([, , args]) => !/init supervise|agent\.cjs/.test(args ?? ""));
    return others.length > 0 && others.every(([, state]) => state?.startsWith("T"));
  };
  const isPaused = async (): Promise<boolean> =>
    (await docker.docker.getContainer(shared.sandbox.containerId).inspect()).State.Paused;

  it("stop everything but the agent while nobody vouches for it, until the next word", async () => {
    const running = await shared.start(TICKING);
    await running.says("begun");
    shared.sandbox.vouch(agentOnly());
    await eventually("everything is stopped", isStopped);
    shared.sandbox.vouch(VOUCHED_FOR_EVER);
    await eventually("it goes on", async () => !(await isStopped()));
    await shared.sandbox.kill(running.processId, "SIGKILL");
    expect(await running.exit).to.include({ killed: true });
  });

  it("leave what was stopped before as it was", async () => {
    const running = await shared.start("sleep 1000 & kill -STOP $!; echo begun; wait");
    await running.says("begun");
    shared.sandbox.vouch(agentOnly());
    await eventually("everything is stopped", isStopped);
    shared.sandbox.vouch(VOUCHED_FOR_EVER);
    const { stdout } = await shared.run("ps -eo stat,args | grep 'T.*[s]leep 1000'");
    expect(stdout).to.include("sleep 1000");
    await shared.sandbox.kill(running.processId, "SIGKILL");
  });

  it("open for a word with a higher epoch", async () => {
    const running = await shared.start(TICKING);
    await running.says("begun");
    shared.sandbox.vouch(agentOnly());
    await eventually("everything is stopped", isStopped);
    const claim = { sessionId: "ses_next", principal: "p", env: {}, memoryMb: 256, cpus: 1, listener: shared };
    await shared.sandbox.claim({ ...claim, epoch: 2n, vouch: VOUCHED_FOR_EVER });
    await eventually("it goes on", async () => !(await isStopped()));
    await shared.sandbox.kill(running.processId, "SIGKILL");
  });

  it("let a request wait in the agent: it is carried out after the next word, once", async () => {
    shared.sandbox.vouch(agentOnly());
    await eventually("the fence is closed", isStopped);
    const writing = shared.sandbox.writeFile({ path: "late", content: Buffer.from("late") });
    const isWritten = await Promise.race([
      writing.then(() => true),
      shared.sandbox.connected(0).then(() => sleep(SOON_MS)),
    ]);
    expect(isWritten).to.equal(undefined);
    shared.sandbox.vouch(VOUCHED_FOR_EVER);
    expect((await writing).created).to.equal(true);
  });

  it("do not count against a command's time limit", async () => {
    const limited = await shared.start("echo begun; sleep 0.3", { timeoutMs: 1_000 });
    await limited.says("begun");
    shared.sandbox.vouch(agentOnly());
    await sleep(1_500); // longer than the limit: what stands still has no signal to wait for
    shared.sandbox.vouch(VOUCHED_FOR_EVER);
    expect(await limited.exit).to.include({ exitCode: 0, timedOut: false });
  });

  it("hold back what the worker asks for while it cannot vouch, and forgive the agent its silence", async () => {
    const running = await shared.start("echo begun; read -r line; echo $line #stdin");
    await running.says("begun");
    shared.sandbox.vouch(LAPSED);
    await Promise.all([shared.sandbox.freeze(), shared.sandbox.freeze()]);
    expect(await isPaused()).to.equal(true);
    const written = shared.sandbox.writeStdin(running.processId, Buffer.from("after all\n"), true);
    await shared.sandbox.thaw(VOUCHED_FOR_EVER);
    expect(await isPaused()).to.equal(false);
    await written;
    expect(await running.exit).to.include({ exitCode: 0, stdout: "begun\nafter all\n" });
    expect(shared.sandbox.death).to.equal(undefined);
  });

  it("do not keep a frozen sandbox from being removed", async () => {
    const other = await docker.claim();
    await other.sandbox.freeze();
    await other.sandbox.remove();
    expect(await docker.engine.inspect(other.sandbox.containerId)).to.equal(undefined);
  });
});
