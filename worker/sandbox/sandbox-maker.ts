import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import type { Egress } from "../egress/egress.ts";
import { EgressDoor } from "../egress/egress-door.ts";
import { AttachChannel } from "./attach-channel.ts";
import { channelOf } from "./channel-of.ts";
import {
  type AgentTransport,
  CONTAINER_PATHS,
  containerOptions,
  EGRESS_SIGN,
  LABELS,
  type SandboxLimits,
} from "./container-spec.ts";
import type { Engine } from "./engine.ts";
import { type DeathReason, Sandbox } from "./sandbox.ts";
import { SocketChannel } from "./socket-channel.ts";

export interface MakingDeps {
  engine: Engine;
  metrics: { sandboxStarted(durationMs: number): void; sandboxDied(reason: DeathReason): void };
  log: Logger;
}

export interface MakingOptions {
  deployment: string;
  /** Known once Redis was there; a container bears it from its beginning. */
  store: () => string;
  worker: string;
  /** Holds a folder per sandbox; the same path on the engine's host. Short: a socket's path has 107 bytes at most. */
  runFolder: string;
  limits: SandboxLimits;
  /** As `ContainerSpec` has it. */
  seccompProfile: string | undefined;
  /** As `ContainerSpec` has it. */
  runtime: string | undefined;
  /** Serves the connections of sessions with egress; undefined where there are none. */
  egress: Pick<Egress, "take" | "missed" | "filesFor"> | undefined;
}

/** Makes one sandbox at a time, container, channel and agent, and knows those that are there until they are removed. */
export class SandboxMaker {
  readonly #sandboxes = new Map<string, Sandbox>();

  constructor(
    private readonly deps: MakingDeps,
    private readonly options: MakingOptions,
  ) {}

  get(containerId: string): Sandbox | undefined {
    return this.#sandboxes.get(containerId);
  }

  ids(): Iterable<string> {
    return this.#sandboxes.keys();
  }

  all(): Iterable<Sandbox> {
    return this.#sandboxes.values();
  }

  /**
   * The sandbox of a container that an earlier worker of this host left; `resume` it. Undefined when it does not run, and
   * when it has a network: 0.2 gave it one that nothing filters, so its session goes on in another.
   */
  async find(containerId: string): Promise<Sandbox | undefined> {
    const { engine, metrics, log } = this.deps;
    const state = await engine.inspect(containerId);
    const channel = state?.isRunning && state.network === undefined ? channelOf(engine, state) : undefined;
    if (!state || !channel) return undefined;
    const onRemoved = () => this.#sandboxes.delete(containerId);
    const slot = state.labels[LABELS.slot] ?? "";
    const sandbox = new Sandbox(
      containerId,
      slot,
      this.options.limits,
      this.#doorOf(state.env.includes(EGRESS_SIGN) ? state.binds[CONTAINER_PATHS.run] : undefined),
      { engine, channel, metrics, log, onRemoved },
      state.isPaused,
    );
    this.#sandboxes.set(containerId, sandbox);
    return sandbox;
  }

  /** @throws {ToolFailure} NETWORK_DISABLED; what the engine threw, with nothing left behind */
  async make(
    { engineId, agentVolume }: { engineId: string; agentVolume: string },
    { reference: image, transport, hasEgress }: { reference: string; transport: AgentTransport; hasEgress: boolean },
    timeoutMs: number,
  ): Promise<Sandbox> {
    const { engine, metrics, log } = this.deps;
    const startedAt = performance.now();
    const { deployment, worker, limits, runFolder, seccompProfile, runtime } = this.options;
    if (hasEgress && transport !== "socket")
      throw new ToolFailure(
        "NETWORK_DISABLED",
        "Egress needs an engine that carries this host's sockets into containers",
      );
    const store = this.options.store();
    const slot = randomBytes(6).toString("hex");
    const socketFolder = transport === "socket" ? join(runFolder, slot) : undefined;
    const attachMark = transport === "attach" ? randomBytes(16).toString("hex") : undefined;
    const socket = socketFolder ? new SocketChannel(socketFolder) : undefined;
    await socket?.prepare(); // the mount needs the folder
    let containerId: string | undefined;
    try {
      const name = `codegen-mcp-pool-${slot}`;
      const spec = {
        name,
        image,
        deployment,
        store,
        worker,
        slot,
        limits,
        transport,
        agentVolume,
        socketFolder,
        attachMark,
        seccompProfile,
        runtime,
        hasEgress,
      };
      containerId = await engine.create(containerOptions({ ...spec, engine: engineId }));
      const id = containerId;
      const channel = socket ?? new AttachChannel(engine, id, attachMark!);
      const onRemoved = () => this.#sandboxes.delete(id);
      const sandbox = new Sandbox(id, slot, limits, this.#doorOf(hasEgress ? socketFolder : undefined), {
        engine,
        channel,
        metrics,
        log,
        onRemoved,
      });
      this.#sandboxes.set(id, sandbox);
      if (socket) await sandbox.open();
      await engine.start(id);
      if (!socket) await sandbox.open();
      await sandbox.connected(timeoutMs);
      metrics.sandboxStarted(performance.now() - startedAt);
      return sandbox;
    } catch (error) {
      const sandbox = containerId ? this.#sandboxes.get(containerId) : undefined;
      const removal = sandbox ? sandbox.remove() : containerId ? engine.remove(containerId) : Promise.resolve();
      await removal.catch((err) => log.warn({ err, containerId }, "a container that did not start is left behind"));
      if (socketFolder) await rm(socketFolder, { recursive: true, force: true });
      throw error;
    }
  }

  #doorOf(folder: string | undefined): EgressDoor | undefined {
    const { egress } = this.options;
    return egress && folder ? new EgressDoor(folder, egress) : undefined;
  }
}
