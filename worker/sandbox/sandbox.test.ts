import { existsSync } from "node:fs";
import { expect } from "chai";
import { TestSandbox } from "../../test/support/test-sandbox.ts";
import { TEST_LIMITS, useDocker } from "../../test/support/use-docker.ts";
import { memoryBytes } from "./container-spec.ts";
import { VOUCHED_FOR_EVER } from "./vouch.ts";

describe("A sandbox", () => {
  const docker = useDocker();
  let shared: TestSandbox;
  before(async () => {
    shared = await docker.shared();
  });

  it("is its session's once it is claimed: environment, limits, name", async () => {
    const sandbox = await docker.host.create();
    const listener = await TestSandbox.claim(sandbox);
    const limits = { memoryMb: 300, cpus: 0.5 };
    const vouch = VOUCHED_FOR_EVER;
    await sandbox.claim({
      sessionId: "ses_x1",
      principal: "p",
      epoch: 7n,
      env: { TOKEN: "t" },
      ...limits,
      vouch,
      listener,
    });
    expect(await listener.run("echo $TOKEN")).to.include({ stdout: "t\n" });
    const { HostConfig } = await docker.docker.getContainer(sandbox.containerId).inspect();
    expect(HostConfig).to.include({ NanoCpus: 5e8, Memory: memoryBytes({ ...TEST_LIMITS, memoryMb: 300 }) });
    expect(HostConfig.MemorySwap).to.equal(HostConfig.Memory);
    while (!(await docker.engine.inspect(sandbox.containerId))?.name.includes("ses_x1-7"));
    await sandbox.remove();
  });

  it("refuses an epoch lower than one that it has seen", async () => {
    const owner = await docker.claim();
    const claim = {
      sessionId: "ses_x",
      principal: "p",
      env: {},
      memoryMb: TEST_LIMITS.memoryMb,
      cpus: TEST_LIMITS.cpus,
      vouch: VOUCHED_FOR_EVER,
      listener: owner,
    };
    await owner.sandbox.claim({ ...claim, epoch: 5n });
    const refusal = await owner.sandbox.claim({ ...claim, epoch: 4n }).catch((error) => error);
    expect(refusal.cause).to.deep.equal({ code: "STALE_EPOCH" });
    await owner.sandbox.remove();
  });

  it("is gone with its socket's folder when it is removed, twice too", async () => {
    const { sandbox } = await docker.claim();
    await Promise.all([sandbox.remove(), sandbox.remove()]);
    expect(await docker.engine.inspect(sandbox.containerId)).to.equal(undefined);
    expect(existsSync(`${docker.runFolder}/${sandbox.slot}`)).to.equal(false);
    expect(await sandbox.readFile({ path: "x" }).catch((error) => error.code)).to.equal("SANDBOX_UNAVAILABLE");
  });

  for (const [what, command] of [
    ["kill -9 -1", "kill -9 -1"],
    ["kill -9 of the agent", "kill -9 $(pgrep -f [a]gent.cjs | tail -1)"],
  ] as const) {
    it(`survives ${what}: everything ends, it says so, the workspace stays`, async () => {
      await shared.run("echo kept > kept.txt");
      const restarted = shared.restarted();
      const running = await shared.start("sleep 1000");
      await shared.start(command).catch(() => {}); // the agent may die before it answers
      await restarted;
      expect(await running.exit.catch((error) => error.message)).to.equal("the agent was restarted");
      expect(await shared.run("cat kept.txt")).to.include({ exitCode: 0, stdout: "kept\n" });
      expect(await shared.processes()).to.deep.equal([]);
    });
  }

  it("survives signals to PID 1 from inside, and a stopped agent", async () => {
    await shared.run("kill -TERM 1; kill -INT 1; kill -9 1; kill -STOP $(pgrep -f [a]gent.cjs | tail -1)");
    expect(await shared.run("echo on")).to.include({ stdout: "on\n" });
  });

  it("says that it died when its container is removed by hand", async () => {
    const owner = await docker.claim();
    const died = owner.died();
    await docker.engine.remove(owner.sandbox.containerId);
    expect(await died).to.be.oneOf(["removed", "exited"]); // it ends before it is removed
    await owner.sandbox.remove();
  });

  it("says that it died when its container is stopped", async () => {
    const owner = await docker.claim();
    const died = owner.died();
    await docker.docker.getContainer(owner.sandbox.containerId).kill();
    expect(await died).to.equal("exited");
    await owner.sandbox.remove();
  });

  describe("from inside", () => {
    const output = async (command: string) => (await shared.run(`{ ${command}; } 2>&1`)).stdout;

    it("has no rights: no capability, no new privileges, a seccomp filter, an unprivileged user", async () => {
      const status = await output("cat /proc/self/status");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
        expect(status).to.match(new RegExp(`${set}:\\s0+\n`));
      expect(status)
        .to.match(/NoNewPrivs:\s1/)
        .and.match(/Seccomp:\s2/)
        .and.match(/Uid:\s1000\s1000\s1000\s1000/);
    });

    it("can write to its own sized mounts only", async () => {
      expect(await output("touch /x /etc/x /opt/codegen/x /usr/x")).to.match(/(.*Read-only file system\n){4}/);
      const writable = await output(
        "for m in $(awk '{print $2}' /proc/mounts); do [ -d $m ] && [ -w $m ] && echo $m; done | sort -u",
      );
      expect(writable.trim().split("\n")).to.have.members(["/dev/mqueue", "/dev/shm", "/home/dev", "/tmp"]);
      const sizes = await output(
        "awk '$3 == \"tmpfs\" && $2 ~ /^.(home.dev|tmp|dev.shm)$/ && $4 ~ /size=/' /proc/mounts",
      );
      expect(sizes.trim().split("\n")).to.have.length(3);
    });

    it("has no network but the loopback interface", async () => {
      expect((await output("tail -n +3 /proc/net/dev | cut -d: -f1")).trim()).to.equal("lo");
    });

    it("cannot look into the agent, PID 1, or trace them", async () => {
      const agent = "$(pgrep -f [a]gent.cjs | tail -1)";
      for (const pid of ["1", agent]) {
        for (const file of ["environ", "mem", "maps", "fd/"])
          expect(
            await output(`head -c 1 /proc/${pid}/${file} || ls /proc/${pid}/${file}`),
            `${pid} ${file}`,
          ).to.include("Permission denied");
        const trace = `python3 -c 'import ctypes, sys; l = ctypes.CDLL(None, use_errno=True); print(l.ptrace(16, int(sys.argv[1]), 0, 0))' ${pid}`;
        expect(await output(trace)).to.equal("-1\n");
      }
      expect(await output("head -c 1 /opt/codegen/node")).to.include("Permission denied");
    });

    it("can neither change the socket's folder nor connect in the agent's place", async () => {
      expect(
        await output("rm -f /run/codegen/agent.sock; mv /run/codegen /run/x; touch /run/codegen/x; ls /run/codegen"),
      ).to.match(/Read-only file system|Permission denied|Device or resource busy/);
      const connect = `python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/run/codegen/agent.sock")'`;
      expect(await output(connect)).to.match(/FileNotFoundError|ConnectionRefusedError/);
      expect(await shared.run("echo on")).to.include({ stdout: "on\n" });
    });

    it("is what the memory limit chooses before PID 1, the agent and the runner", async () => {
      expect(await output("cat /proc/self/oom_score_adj /proc/1/oom_score_adj /proc/$PPID/oom_score_adj")).to.equal(
        "1000\n0\n0\n",
      );
    });
  });
});

describe("A sandbox over attached stdio", () => {
  const docker = useDocker("attach");

  it("does the same: output, input, files, a restart of the agent", async () => {
    const owner = await docker.claim({ A: "b" });
    expect(await owner.run("echo $A; head -c 3000000 /dev/zero | wc -c >&2")).to.include({
      stdout: "b\n",
      stderr: "3000000\n",
    });
    expect(await owner.run("head -c 3000000 /dev/zero")).to.include({ outputBytes: 3_000_000 });
    expect(await owner.run("cat", { stdin: "in" })).to.include({ stdout: "in" });
    await owner.sandbox.writeFile({ path: "f", content: Buffer.alloc(5_000_000, "x") });
    expect((await owner.sandbox.readFile({ path: "f", maxBytes: 6_000_000n })).content).to.have.length(5_000_000);
    const restarted = owner.restarted();
    await owner.start("kill -9 -1").catch(() => {});
    await restarted;
    expect(await owner.run("wc -c < f")).to.include({ stdout: "5000000\n" });
    await owner.sandbox.remove();
  });
});
