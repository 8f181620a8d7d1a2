import type { ContainerCreateOptions } from "dockerode";

export type AgentTransport = "socket" | "attach";

/** Where things stand inside a container. The workspace is made by the agent. */
export const CONTAINER_PATHS = {
  home: "/home/dev",
  workdir: "/home/dev/workspace",
  codegen: "/opt/codegen",
  run: "/run/codegen",
};

/** Grows whenever a container that an older worker made must not be handed out by a newer one. */
export const SPEC_VERSION = "1";

/** In the environment of a container whose session has egress. */
export const EGRESS_SIGN = "AGENT_EGRESS=1";

export const LABELS = {
  deployment: "codegen-mcp.deployment",
  store: "codegen-mcp.store",
  engine: "codegen-mcp.engine",
  worker: "codegen-mcp.worker",
  slot: "codegen-mcp.slot",
  spec: "codegen-mcp.spec",
} as const;

/** What every container of a worker gets; `memoryMb` and `cpus` can change when one is claimed. */
export interface SandboxLimits {
  memoryMb: number;
  cpus: number;
  /** Size of the workspace with HOME. */
  diskMb: number;
  diskFiles: number;
  tmpMb: number;
  tmpFiles: number;
  shmMb: number;
  /** Processes and threads, those of the agent not counted. */
  pids: number;
  openFiles: number;
}

export const DEFAULT_LIMITS: SandboxLimits = {
  memoryMb: 512,
  cpus: 1,
  diskMb: 512,
  diskFiles: 200_000,
  tmpMb: 128,
  tmpFiles: 50_000,
  shmMb: 16,
  pids: 512,
  openFiles: 4096,
};

export interface ContainerSpec {
  name: string;
  image: string;
  deployment: string;
  /** The Redis whose records tell to whom it belongs, see `StoreIdentity`. */
  store: string;
  engine: string;
  worker: string;
  slot: string;
  limits: SandboxLimits;
  transport: AgentTransport;
  /** Named volume with init, node and agent.cjs. */
  agentVolume: string;
  /** Folder on the engine's host that holds the agent's socket; only for the socket transport. */
  socketFolder: string | undefined;
  /** Whether its agent carries connections to the worker's proxy; it has no network but loopback in any case. */
  hasEgress: boolean;
  /** What each attachment begins with; only for the attach transport. */
  attachMark: string | undefined;
  /** A profile as JSON; undefined for the engine's own. */
  seccompProfile: string | undefined;
  /** The engine's name for what runs the container, such as runsc; undefined for its default. */
  runtime: string | undefined;
}

const MIB = 1024 * 1024;
/** PID 1, the agent with its threads, and the runner that waits. */
const OWN_PIDS = 24;
/** What PID 1 and the agent take of the container's memory. */
const OWN_MEMORY_MB = 32;
const UID = 1000;

/** Of V8: a small heap that is collected early, no worker threads, no optimising compiler that would keep code and feedback. */
const NODE_FLAGS = ["--max-semi-space-size=1", "--v8-pool-size=0", "--single-threaded-gc"];

/**
 * Converts a share of CPU cores (0.5 is half of one) into Docker's `HostConfig.NanoCpus`, which counts in 1e-9 cores.
 * @throws {RangeError} unless `cores` is finite and above zero
 */
export const nanoCpus = (cores: number): number => {
  if (!Number.isFinite(cores) || cores <= 0) throw new RangeError(`cores must be finite and above zero, not ${cores}`);
  return Math.round(cores * 1e9);
};

/** `memory_mb` is for processes: tmpfs pages count too, so their sizes come on top, and a full disk is ENOSPC before it is OOM. */
export const memoryBytes = (limits: SandboxLimits): number =>
  (limits.memoryMb + limits.diskMb + limits.tmpMb + limits.shmMb + OWN_MEMORY_MB) * MIB;

/** The whole of a container, in the Engine API's words. Nothing in it depends on the session. */
export const containerOptions = (spec: ContainerSpec): ContainerCreateOptions => {
  const { limits, transport } = spec;
  const memory = memoryBytes(limits);
  const isAttached = transport === "attach";
  return {
    name: spec.name,
    Image: spec.image,
    User: `${UID}:${UID}`,
    Hostname: "sandbox",
    WorkingDir: "/",
    Entrypoint: [`${CONTAINER_PATHS.codegen}/init`, "supervise", "--"],
    Cmd: [`${CONTAINER_PATHS.codegen}/node`, ...NODE_FLAGS, `${CONTAINER_PATHS.codegen}/agent.cjs`],
    Env: environment(spec),
    Labels: {
      [LABELS.deployment]: spec.deployment,
      [LABELS.store]: spec.store,
      [LABELS.engine]: spec.engine,
      [LABELS.worker]: spec.worker,
      [LABELS.slot]: spec.slot,
      [LABELS.spec]: SPEC_VERSION,
    },
    Tty: false,
    OpenStdin: isAttached,
    StdinOnce: false,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    NetworkDisabled: true,
    HostConfig: {
      CapDrop: ["ALL"],
      Privileged: false,
      SecurityOpt: ["no-new-privileges", ...(spec.seccompProfile ? [`seccomp=${spec.seccompProfile}`] : [])],
      ...(spec.runtime ? { Runtime: spec.runtime } : {}),
      ReadonlyRootfs: true,
      LogConfig: { Type: "none", Config: {} }, // else user code could fill the host's disk through the agent's stdout
      NetworkMode: "none",
      IpcMode: "private",
      Memory: memory,
      MemorySwap: memory, // both together: no swap
      NanoCpus: nanoCpus(limits.cpus),
      PidsLimit: limits.pids + OWN_PIDS,
      Ulimits: [
        { Name: "nofile", Soft: limits.openFiles, Hard: limits.openFiles },
        { Name: "core", Soft: 0, Hard: 0 },
        { Name: "msgqueue", Soft: 0, Hard: 0 }, // the kernel counts these by user, so one session could take all
      ],
      ShmSize: limits.shmMb * MIB,
      Tmpfs: {
        [CONTAINER_PATHS.home]: tmpfs(limits.diskMb, limits.diskFiles, `uid=${UID},gid=${UID},mode=0755`),
        "/tmp": tmpfs(limits.tmpMb, limits.tmpFiles, "mode=1777"),
      },
      Mounts: [
        {
          Type: "volume",
          Source: spec.agentVolume,
          Target: CONTAINER_PATHS.codegen,
          ReadOnly: true,
          VolumeOptions: noCopy,
        },
        ...(spec.socketFolder
          ? [{ Type: "bind" as const, Source: spec.socketFolder, Target: CONTAINER_PATHS.run, ReadOnly: true }]
          : []),
      ],
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
    },
  };
};

const noCopy = { NoCopy: true, Labels: {}, DriverConfig: { Name: "", Options: {} } };

const tmpfs = (sizeMb: number, files: number, owner: string): string =>
  `rw,exec,nosuid,nodev,size=${sizeMb}m,nr_inodes=${files},${owner}`;

const environment = ({ transport, attachMark, hasEgress }: ContainerSpec): string[] => [
  `HOME=${CONTAINER_PATHS.home}`,
  "USER=dev",
  "LOGNAME=dev",
  "SHELL=/bin/bash",
  "LANG=C.UTF-8",
  `AGENT_TRANSPORT=${transport}`,
  ...(hasEgress ? [EGRESS_SIGN] : []),
  ...(attachMark ? [`AGENT_ATTACH_MARK=${attachMark}`] : []),
  "MALLOC_ARENA_MAX=1",
  "UV_THREADPOOL_SIZE=1",
];
