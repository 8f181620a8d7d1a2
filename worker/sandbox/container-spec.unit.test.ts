import { expect } from "chai";
import { type ContainerSpec, containerOptions, DEFAULT_LIMITS, memoryBytes, nanoCpus } from "./container-spec.ts";

const spec: ContainerSpec = {
  name: "n",
  image: "i",
  deployment: "d",
  store: "r",
  engine: "e",
  worker: "w",
  slot: "s",
  limits: DEFAULT_LIMITS,
  transport: "socket",
  agentVolume: "v",
  socketFolder: "/run/x/s",
  hasEgress: false,
  attachMark: undefined,
  seccompProfile: '{"defaultAction":"SCMP_ACT_ERRNO"}',
  runtime: undefined,
};

describe("A container's options", () => {
  it("take every right away", () => {
    const { User, HostConfig, NetworkDisabled } = containerOptions(spec);
    expect({ User, NetworkDisabled }).to.deep.equal({ User: "1000:1000", NetworkDisabled: true });
    expect(HostConfig).to.deep.include({
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ERRNO"}'],
      ReadonlyRootfs: true,
      NetworkMode: "none",
      IpcMode: "private",
      Privileged: false,
      LogConfig: { Type: "none", Config: {} },
    });
  });

  it("take no right back for a session with egress, not even for a network: only its agent knows", () => {
    const { Env, ...rest } = containerOptions({ ...spec, hasEgress: true });
    const { Env: without, ...same } = containerOptions(spec);
    expect(rest).to.deep.equal(same);
    expect(Env?.filter((one) => !without?.includes(one))).to.deep.equal(["AGENT_EGRESS=1"]);
  });

  it("name a filter of system calls and a runtime only where there are ones to name", () => {
    const { HostConfig } = containerOptions({ ...spec, seccompProfile: undefined });
    expect(HostConfig?.SecurityOpt).to.deep.equal(["no-new-privileges"]);
    expect(HostConfig).not.to.have.property("Runtime");
    for (const runtime of ["runsc", "kata"])
      expect(containerOptions({ ...spec, runtime }).HostConfig).to.include({ Runtime: runtime, Privileged: false });
  });

  it("limit memory so that full disks fit into it, without swap", () => {
    const { HostConfig } = containerOptions(spec);
    const { memoryMb, diskMb, tmpMb, shmMb } = DEFAULT_LIMITS;
    expect(HostConfig?.Memory).to.be.at.least((memoryMb + diskMb + tmpMb + shmMb) * 1024 * 1024);
    expect(HostConfig?.MemorySwap).to.equal(HostConfig?.Memory).and.to.equal(memoryBytes(DEFAULT_LIMITS));
  });

  it("bound every writable mount in bytes and files", () => {
    for (const options of Object.values(containerOptions(spec).HostConfig?.Tmpfs as Record<string, string>))
      expect(options).to.match(/nosuid,nodev,size=\d+m,nr_inodes=\d+/);
  });

  it("mount the agent and the socket's folder read-only, and no socket for attached stdio", () => {
    const mounts = (one: ContainerSpec) =>
      containerOptions(one).HostConfig?.Mounts?.map(({ Target, ReadOnly }) => [Target, ReadOnly]);
    expect(mounts(spec)).to.deep.equal([
      ["/opt/codegen", true],
      ["/run/codegen", true],
    ]);
    const attached = { ...spec, transport: "attach", socketFolder: undefined, attachMark: "m" } as const;
    expect(mounts(attached)).to.deep.equal([["/opt/codegen", true]]);
    expect(containerOptions(attached)).to.include({ OpenStdin: true, StdinOnce: false });
  });

  it("count cores in billionths, and refuse what is no share", () => {
    expect(nanoCpus(0.5)).to.equal(500_000_000);
    for (const cores of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => nanoCpus(cores)).to.throw(RangeError);
  });
});
