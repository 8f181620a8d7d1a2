import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import {
  type CodeStopped,
  type HelloReply,
  type RunCodeSchema,
  type SpawnSchema,
  type StopCodeSchema,
  StreamKind,
} from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { inSpan, isInSpan } from "../../shared/tracing/in-span.ts";
import type { EgressDoor } from "../egress/egress-door.ts";
import type { AgentChannel } from "./agent-channel.ts";
import { AgentLink, type AgentLinkListener } from "./agent-link.ts";
import { memoryBytes, nanoCpus, type SandboxLimits } from "./container-spec.ts";
import type { ContainerState, Engine } from "./engine.ts";
import { ProcessLedger } from "./process-ledger.ts";
import { type AgentRequest, SandboxFiles } from "./sandbox-files.ts";
import type { Vouch } from "./vouch.ts";

const SPAWN_TIMEOUT_MS = 10_000;
/** What the agent need not hear at once: a look at the workspace that ends before the next call; what it may forget. */
const MARK_WITHIN_MS = 5;
const ACK_WITHIN_MS = 100;
const KILL_TIMEOUT_MS = 15_000;
const USAGE_TIMEOUT_MS = 5_000;
/** A container's own end is seen within this, even without the engine's events. */
const CHECK_AFTER_DISCONNECT_MS = 250;
/** PID 1 starts a dead agent again within 2 s at most. */
const RECONNECT_MS = 10_000;

/**
 * Why a sandbox is no more: `oom` the memory limit killed its PID 1; `exited` or `removed` somebody ended its container
 * (which of the two depends on who looks when);
 * `unresponsive` its agent neither answers nor comes back, or breaks the protocol.
 */
export type DeathReason = "oom" | "exited" | "removed" | "unresponsive";

export interface OutputEvent {
  isStderr: boolean;
  /** Of the first byte, in stdout and stderr counted together. */
  offset: number;
  /** A view on the received chunk: copy what is kept for long. */
  data: Uint8Array;
}

export interface ExitEvent {
  /** -1 when a signal ended it. */
  exitCode: number;
  /** Such as "SIGKILL"; empty when it exited. */
  signal: string;
  timedOut: boolean;
  killed: boolean;
  durationMs: number;
  outputBytes: number;
  /** Processes that it left running; their later output is dropped. */
  leftBehind: number;
  /** The memory limit killed something in the sandbox while it ran. */
  outOfMemory: boolean;
  /** Bytes of its output, from the start, that stand in its log file; 0 when there is none. */
  logBytes: number;
  code: CodeEnd;
}

/** What code in an interpreter gave besides its output; without meaning for commands. */
export interface CodeEnd {
  /** The last expression's value as text; empty when it has none. */
  result: string;
  /** PNGs. */
  images: Uint8Array[];
  /** Images that were too many or too large. */
  droppedImages: number;
  /** The interpreter is gone, and with it all that its context held. */
  isStateLost: boolean;
}

/** What all of a container used. */
export interface Usage {
  cpuSeconds: number;
  memoryBytes: number;
}

/** Called in order, never before the Spawn of the process was sent; output may come before `spawn()` resolves. */
export interface SandboxListener {
  onOutput(processId: string, output: OutputEvent): void;
  onExited(processId: string, exit: ExitEvent): void;
  /** The agent was killed and came back: everything in the container was killed, the workspace stays. No exits follow. */
  onRestarted(lostProcessIds: string[]): void;
  /** The sandbox is of no use any more: `remove()` it. Called once. */
  onDied(reason: DeathReason): void;
}

export interface Claim {
  sessionId: string;
  principal: string;
  epoch: bigint;
  env: Record<string, string>;
  memoryMb: number;
  cpus: number;
  vouch: Vouch;
  listener: SandboxListener;
}

/** A session that an earlier worker had in this container. */
export interface Resumption extends Claim {
  /** The start of the agent that the records know; another one has killed everything. */
  agentBoot: string;
  /** Processes that the records call running, and how much of their output stands there. */
  processes: { processId: string; recordedBytes: number }[];
}

export type CodeSpec = MessageInitShape<typeof RunCodeSchema> & { processId: string };
export type SpawnSpec = MessageInitShape<typeof SpawnSchema> & { processId: string };

/** One container with its agent: first in the pool, then a session's until `remove()`. */
export class Sandbox extends SandboxFiles {
  readonly #link: AgentLink;
  readonly #ledger = new ProcessLedger();
  #listener: SandboxListener | undefined;
  #bootId: string | undefined;
  /** Processes that the agent knew at its last greeting. */
  #known = new Set<string>();
  #workdir = "";
  #death: DeathReason | undefined;
  #removal: Promise<void> | undefined;
  #isFrozen: boolean;
  #freezing = Promise.resolve();
  #madeAtMs: number | undefined = performance.now();
  #granted: { memoryMb: number; cpus: number };

  constructor(
    readonly containerId: string,
    /** The same as the container's slot label. */
    readonly slot: string,
    private readonly limits: SandboxLimits,
    /** Its way to the worker's proxy; undefined for none. */
    private readonly egress: EgressDoor | undefined,
    private readonly deps: {
      engine: Engine;
      channel: AgentChannel;
      metrics: { sandboxDied(reason: DeathReason): void };
      log: Logger;
      onRemoved: () => void;
    },
    isFrozen = false,
  ) {
    super();
    this.#isFrozen = isFrozen;
    this.#granted = limits;
    const listener: AgentLinkListener = {
      onEvent: (event) => {
        if (event.case === "exited") {
          if (!this.#ledger.onExited(event.value)) return;
          const { processId, durationMs, outputBytes, logBytes, $typeName: _, $unknown: __, ...rest } = event.value;
          const { result, images, droppedImages, isStateLost, ...exit } = rest;
          this.#listener?.onExited(processId, {
            ...exit,
            durationMs: Number(durationMs),
            outputBytes: Number(outputBytes),
            logBytes: Number(logBytes),
            code: { result, images: images.map(({ data }) => data), droppedImages, isStateLost },
          });
          return;
        }
        const fresh = this.#ledger.onOutput(event.value);
        const isStderr = event.value.stream === StreamKind.STDERR;
        if (fresh) this.#listener?.onOutput(event.value.processId, { isStderr, ...fresh });
      },
      onGreeted: (reply) => this.#onGreeted(reply),
      onDisconnected: () => void this.#onDisconnected(),
      onBroken: () => this.#die("unresponsive"),
    };
    this.#link = new AgentLink({ channel: deps.channel, listener, log: deps.log, name: slot });
  }

  /** Absolute path of the workspace inside the container. */
  get workdir(): string {
    return this.#workdir;
  }

  get death(): DeathReason | undefined {
    return this.#death;
  }

  /** What its session may use. */
  get granted(): { memoryBytes: number; cpus: number } {
    return { memoryBytes: memoryBytes({ ...this.limits, ...this.#granted }), cpus: this.#granted.cpus };
  }

  /** `performance.now()`; undefined for a container that an earlier worker made. */
  get madeAtMs(): number | undefined {
    return this.#madeAtMs;
  }

  /** Takes connections; before the container starts. */
  async open(): Promise<void> {
    await this.#link.open();
  }

  /** Resolves when the agent is ready for processes. */
  async connected(timeoutMs: number): Promise<void> {
    await this.#link.connected(timeoutMs);
  }

  /**
   * Makes this the session's sandbox. Waits for the agent's greeting, and for new limits only where they differ from the
   * pool's; the container's new name comes when it comes.
   */
  async claim({ sessionId, principal, epoch, env, memoryMb, cpus, vouch, listener }: Claim): Promise<void> {
    this.#listener = listener;
    this.#granted = { memoryMb, cpus };
    const { engine, log } = this.deps;
    const limits = { ...this.limits, memoryMb, cpus };
    const isChanged = memoryMb !== this.limits.memoryMb || cpus !== this.limits.cpus;
    const memory = memoryBytes(limits);
    await Promise.all([
      this.#link.greet({ epoch, env }, vouch),
      this.egress?.open(principal),
      isChanged
        ? engine.update(this.containerId, { Memory: memory, MemorySwap: memory, NanoCpus: nanoCpus(cpus) })
        : undefined,
    ]);
    void engine.rename(this.containerId, `codegen-mcp-${sessionId}-${epoch}`).catch((err) => {
      if (!this.#removal) log.warn({ err, sessionId }, "the container keeps its old name");
    });
  }

  /**
   * Goes on with what an earlier worker left here. Output that is recorded does not come again; all other follows.
   * @returns ids of the given processes that the agent knows nothing of: they never started, or their end was told before
   */
  async resume({
    sessionId,
    principal,
    epoch,
    env,
    agentBoot,
    processes,
    vouch,
    listener,
    ...granted
  }: Resumption): Promise<string[]> {
    this.#listener = listener;
    this.#granted = granted;
    this.#madeAtMs = undefined;
    this.#bootId = agentBoot;
    for (const { processId, recordedBytes } of processes) this.#ledger.resume(processId, recordedBytes);
    await this.egress?.open(principal);
    await this.#link.open({ epoch, env }, vouch);
    await this.thaw(vouch); // an earlier worker may have frozen it
    await this.#link.connected(RECONNECT_MS);
    // What is recorded may not have been acknowledged, and the process may wait for that.
    for (const { processId, recordedBytes } of processes) this.ackOutput(processId, recordedBytes);
    void this.deps.engine.rename(this.containerId, `codegen-mcp-${sessionId}-${epoch}`).catch(() => {}); // only a name
    return processes.map(({ processId }) => processId).filter((id) => !this.#known.has(id));
  }

  /** Lets go of the container and leaves all that runs in it, for the next worker of this host. No event follows. */
  async leave(): Promise<void> {
    this.#death ??= "removed";
    this.#listener = undefined;
    this.egress?.close();
    await this.#link.close();
    this.deps.onRemoved();
  }

  get hasEgress(): boolean {
    return this.egress !== undefined;
  }

  /** Which start of the agent this is. */
  get agentBoot(): string {
    return this.#bootId ?? "";
  }

  /** Resolves with the main process's pid. @throws {ToolFailure} OUTCOME_UNKNOWN when the agent was lost meanwhile */
  async spawn(spec: SpawnSpec): Promise<number> {
    const body = { case: "spawn", value: spec } as const;
    const request = () => this.request(body, "spawned", SPAWN_TIMEOUT_MS, { isMutating: true });
    return (await this.#begin(spec.processId, request)).pid;
  }

  /** Resolves when an interpreter has the code. Its output and end come as a process's. @throws as `spawn` */
  async runCode(spec: CodeSpec): Promise<void> {
    const body = { case: "runCode", value: spec } as const;
    const request = () => this.request(body, "codeStarted", SPAWN_TIMEOUT_MS, { isMutating: true });
    await this.#begin(spec.processId, request);
  }

  async stopCode(request: MessageInitShape<typeof StopCodeSchema>): Promise<CodeStopped> {
    const body = { case: "stopCode", value: request } as const;
    return await this.request(body, "codeStopped", KILL_TIMEOUT_MS, { isMutating: true });
  }

  async #begin<T>(processId: string, request: () => Promise<T>): Promise<T> {
    this.#ledger.begin(processId);
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof ToolFailure && error.code === "OUTCOME_UNKNOWN")) this.#ledger.forget(processId);
      throw error;
    }
  }

  /** TERM and KILL end the whole tree, and resolve when it is gone; gives how many processes were signalled. */
  async kill(processId: string, signal: string): Promise<number> {
    const request = { case: "kill", value: { processId, signal } } as const;
    return (await this.request(request, "killed", KILL_TIMEOUT_MS, { isMutating: true })).count;
  }

  async writeStdin(processId: string, data: Uint8Array, close = false): Promise<void> {
    const request = { case: "writeStdin", value: { processId, data, close } } as const;
    await this.request(request, "stdinWritten", SPAWN_TIMEOUT_MS, { isMutating: true });
  }

  async usage(): Promise<Usage> {
    const { cpuUs, memoryBytes } = await this.#link.request({ case: "getUsage", value: {} }, "usage", USAGE_TIMEOUT_MS);
    return { cpuSeconds: Number(cpuUs) / 1e6, memoryBytes: Number(memoryBytes) };
  }

  /** A call that may have changed files has ended; with `isSessionStart`, what is there was there when it began. */
  markWorkspace(isSessionStart = false): void {
    this.#link.tellLater({ case: "markWorkspace", value: { isSessionStart } }, MARK_WITHIN_MS);
  }

  /** The output below `offset` is recorded. Unacknowledged output of 1 MiB stops the process's pipes. */
  ackOutput(processId: string, offset: number): void {
    this.#ledger.acknowledge(processId, offset);
    this.#link.tell({ case: "outputAck", value: { processId, offset: BigInt(offset) } });
  }

  /** The exit is recorded: the agent may forget the process. */
  ackExit(processId: string): void {
    this.#ledger.forget(processId);
    this.#link.tellLater({ case: "exitAck", value: { processId } }, ACK_WITHIN_MS);
  }

  /** The session is ours until then: calls may start, and the agent lets go on what runs. */
  vouch(vouch: Vouch): void {
    this.#link.vouch(vouch);
  }

  /** Idempotent. Nothing in the container moves until `thaw`. */
  async freeze(): Promise<void> {
    await this.#setFrozen(true);
  }

  /** Idempotent. What ran goes on; requests that waited are sent. */
  async thaw(vouch: Vouch): Promise<void> {
    this.#link.vouch(vouch); // first: the agent shall find the word when it wakes
    await this.#setFrozen(false);
  }

  /** One after the other: a freeze that is under way must not outlast a thaw. */
  #setFrozen(isFrozen: boolean): Promise<void> {
    const turn = this.#freezing
      .catch(() => {}) // whoever asked for it was told
      .then(async () => {
        if (this.#isFrozen === isFrozen || this.#removal) return;
        await this.deps.engine[isFrozen ? "pause" : "unpause"](this.containerId);
        this.#isFrozen = isFrozen;
      });
    this.#freezing = turn;
    return turn;
  }

  /** Idempotent, and can be tried again when it failed. Ends everything in the container and removes it; no event follows. */
  remove(): Promise<void> {
    this.#removal ??= this.#remove().catch((error) => {
      this.#removal = undefined; // the engine was away: it can be tried again
      throw error;
    });
    return this.#removal;
  }

  /** From the engine's events: its container ended. */
  async onContainerEnded(): Promise<void> {
    let state: ContainerState | undefined;
    try {
      state = await this.deps.engine.inspect(this.containerId);
    } catch {
      return; // the engine is away and says nothing of the container; it is asked again when it is back
    }
    if (state?.isRunning) return;
    if (!state) this.#die("removed");
    else this.#die(state.wasOomKilled ? "oom" : "exited");
  }

  async #remove(): Promise<void> {
    this.#death ??= "removed";
    this.#listener = undefined;
    await this.deps.engine.remove(this.containerId);
    this.egress?.close();
    await this.#link.close();
    await this.deps.channel.discard();
    this.deps.onRemoved();
  }

  /** A request that went unanswered raises the question whether the agent lives at all. */
  protected override readonly request: AgentRequest = async (body, reply, timeoutMs, options) => {
    try {
      const ask = () => this.#link.request(body, reply, timeoutMs, options);
      if (!isInSpan()) return await ask(); // also for what no call asked for
      return await inSpan(`sandbox ${body.case}`, { kind: "CLIENT", attributes: { "codegen.slot": this.slot } }, ask);
    } catch (error) {
      const isLost =
        error instanceof ToolFailure && (error.code === "OUTCOME_UNKNOWN" || error.code === "SANDBOX_UNAVAILABLE");
      if (isLost && this.#link.isConnected) void this.#checkAgent();
      throw error;
    }
  };

  async #checkAgent(): Promise<void> {
    if (!(await this.#link.isAlive()) && this.#link.isConnected) this.#die("unresponsive");
  }

  #onGreeted({ bootId, workdir, processes }: HelloReply): void {
    const isRestarted = this.#bootId !== undefined && this.#bootId !== bootId;
    this.#bootId = bootId;
    this.#workdir = workdir;
    this.#known = new Set(processes.map(({ processId }) => processId));
    if (isRestarted) this.#listener?.onRestarted(this.#ledger.takeRunning());
    for (const known of processes) this.#ledger.adopt(known);
  }

  async #onDisconnected(): Promise<void> {
    await delay(CHECK_AFTER_DISCONNECT_MS, undefined, { ref: false });
    if (this.#death || this.#link.isConnected) return;
    await this.onContainerEnded();
    if (this.#death) return;
    await this.#link.connected(RECONNECT_MS).catch(() => this.#die("unresponsive"));
  }

  #die(reason: DeathReason): void {
    if (this.#death) return;
    this.#death = reason;
    this.deps.metrics.sandboxDied(reason);
    this.deps.log.warn({ sandbox: this.slot, reason }, "a sandbox died");
    this.#listener?.onDied(reason);
    void this.#link.close().catch(() => {});
  }
}
