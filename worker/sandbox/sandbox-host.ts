import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ToolFailure } from "../../shared/failure.ts";
import type { Service } from "../../shared/service.ts";
import type { AgentFiles } from "./agent-files.ts";
import { ensureAgentVolume } from "./agent-volume.ts";
import { type AgentTransport, LABELS } from "./container-spec.ts";
import { statusOf } from "./engine.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxImages } from "./sandbox-images.ts";
import { type MakingDeps, type MakingOptions, SandboxMaker } from "./sandbox-maker.ts";

const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 10_000;
const CONNECT_TIMEOUT_MS = 30_000;
const SELF_TEST_TIMEOUT_MS = 15_000;
/** In a worker's run folder: the store whose records tell whether that worker lives. */
export const RUN_FOLDER_SIGN = "store";

export interface SandboxHostOptions extends MakingOptions {
  images: SandboxImages;
  agentImage: string;
  agentFiles: AgentFiles;
  transport: AgentTransport | "auto";
}

/** What a session's container is made with; the pool's have the default image and no network. */
export interface SandboxKind {
  /** A name. */
  image: string;
  hasEgress: boolean;
}

interface Prepared {
  engineId: string;
  agentVolume: string;
  transport: AgentTransport;
}

/**
 * Makes sandboxes on one Docker engine and hears of their deaths. While the engine is away it says so, tries again and
 * `isAvailable` is false.
 */
export class SandboxHost implements Service {
  #abort: AbortController | undefined;
  #loop: Promise<void> = Promise.resolve();
  #prepared: Prepared | undefined;
  #isAvailable = false;
  readonly #maker: SandboxMaker;
  readonly #onAvailable = new Set<() => void>();
  /** The self-test's sandbox, as good as any other. */
  #tested: Sandbox | undefined;

  constructor(
    private readonly deps: MakingDeps,
    private readonly options: SandboxHostOptions,
  ) {
    this.#maker = new SandboxMaker(deps, options);
  }

  /** False: no sandbox can be made now. */
  get isAvailable(): boolean {
    return this.#isAvailable;
  }

  get transport(): AgentTransport | undefined {
    return this.#prepared?.transport;
  }

  get images(): SandboxImages {
    return this.options.images;
  }

  /** Idempotent. Returns at once; the engine may come later. */
  start(): void {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.#loop = this.#run(this.#abort.signal);
  }

  /** Idempotent. Leaves the sandboxes alone: their owners remove them. */
  async stop(): Promise<void> {
    const abort = this.#abort;
    abort?.abort();
    await this.#loop;
    if (this.#abort === abort) this.#abort = undefined;
    await this.#tested?.remove().catch(() => {});
    this.#tested = undefined;
  }

  /** Calls back whenever the engine becomes available. */
  whenAvailable(onAvailable: () => void): void {
    this.#onAvailable.add(onAvailable);
  }

  /**
   * A new sandbox, its agent ready.
   * @throws {ToolFailure} SANDBOX_UNAVAILABLE, IMAGE_NOT_FOUND or NETWORK_DISABLED, with nothing left behind
   */
  async create({ image, hasEgress } = this.pooledKind): Promise<Sandbox> {
    if (hasEgress && !this.options.egress) {
      throw new ToolFailure("NETWORK_DISABLED", "This server's sessions have no network", {
        hint: "Leave network out. The operator allows egress by ALLOW_EGRESS=true.",
      });
    }
    const reference = this.images.reference(image);
    const prepared = this.#prepared;
    if (!prepared || !this.#isAvailable)
      throw new ToolFailure("SANDBOX_UNAVAILABLE", "Cannot start a sandbox: the Docker engine of this worker is away");
    if (image === this.images.defaultName && !hasEgress) {
      const tested = this.#tested;
      this.#tested = undefined;
      if (tested && !tested.death) return tested;
    } else if (image !== this.images.defaultName) {
      await this.#findImage(image, reference);
    }
    try {
      const kind = { reference, transport: prepared.transport, hasEgress };
      return await this.#maker.make(prepared, kind, CONNECT_TIMEOUT_MS);
    } catch (error) {
      // The volume or the network may have been removed under us, and a container without cannot start: made again.
      if (this.#prepared === prepared && this.#isAvailable)
        this.#prepared = await this.#prepare().catch(() => prepared);
      throw error;
    }
  }

  /** See `SandboxMaker`. */
  async find(containerId: string): Promise<Sandbox | undefined> {
    return await this.#maker.find(containerId);
  }

  /** Whether a container is in use here, or on its way into or out of use. */
  holds(containerId: string): boolean {
    return this.#maker.get(containerId) !== undefined;
  }

  /** The engine and the volume that new sandboxes are made with; undefined while the engine is away. */
  get present(): { engineId: string; agentVolume: string } | undefined {
    return this.#isAvailable ? this.#prepared : undefined;
  }

  get pooledKind(): SandboxKind {
    return { image: this.images.defaultName, hasEgress: false };
  }

  /**
   * Removes every container that this worker made, known or not, and those that it took over. None is made after it.
   */
  async removeOwned(): Promise<number> {
    this.#isAvailable = false;
    const { deployment, worker, runFolder } = this.options;
    const labels = { [LABELS.deployment]: deployment, [LABELS.worker]: worker };
    const ids = new Set([...(await this.deps.engine.list(labels)), ...this.#maker.ids()]);
    await Promise.all([...ids].map((id) => this.#maker.get(id)?.remove() ?? this.deps.engine.remove(id)));
    await rm(runFolder, { recursive: true, force: true });
    return ids.size;
  }

  /** Removes what a worker made that has ended and whose sessions are taken over: nobody will hand its pool out. */
  async removeLeftBy(former: string): Promise<void> {
    const labels = { [LABELS.deployment]: this.options.deployment, [LABELS.worker]: former };
    const left = (await this.deps.engine.list(labels)).filter((id) => !this.holds(id));
    await Promise.all(left.map((id) => this.deps.engine.remove(id)));
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let retryMs = RETRY_FIRST_MS; !signal.aborted; ) {
      try {
        await this.#serve(signal, () => {
          retryMs = RETRY_FIRST_MS;
        });
      } catch (err) {
        if (signal.aborted) break;
        this.deps.log.error(
          { err, retryMs },
          "no sandboxes: Docker cannot be used; this worker takes no sessions until it can",
        );
      }
      this.#isAvailable = false;
      await delay(retryMs, undefined, { signal }).catch(() => {}); // rejects only when stopped
      retryMs = Math.min(retryMs * 2, RETRY_LAST_MS);
    }
    this.#isAvailable = false;
  }

  /** Prepares what sandboxes need, then listens to the engine until it goes away. */
  async #serve(signal: AbortSignal, onGood: () => void): Promise<void> {
    const { engine, log } = this.deps;
    this.#prepared = await this.#prepare();
    signal.throwIfAborted();
    const onReady = () => {
      onGood();
      this.#isAvailable = true;
      log.info({ transport: this.#prepared?.transport }, "sandboxes can be started");
      for (const sandbox of this.#maker.all()) void sandbox.onContainerEnded(); // events may have been missed
      for (const onAvailable of this.#onAvailable) onAvailable();
    };
    const onEvent = (id: string, action: string) => {
      if (action !== "oom") void this.#maker.get(id)?.onContainerEnded();
    };
    const label = `${LABELS.deployment}=${this.options.deployment}`; // those taken over bear another worker's
    await engine.watch(label, ({ containerId, action }) => onEvent(containerId, action), onReady, signal);
  }

  async #prepare(): Promise<Prepared> {
    const { engine } = this.deps;
    const { agentImage, agentFiles, images } = this.options;
    const { id: engineId, runtimes } = await engine.info();
    this.#checkRuntime(runtimes);
    await engine.imageId(images.reference(images.defaultName));
    const labels = { ...this.#labels(), [LABELS.engine]: engineId };
    const agentVolume = await ensureAgentVolume(engine, agentImage, agentFiles, labels);
    await this.#signRunFolder();
    const transport = this.#prepared?.transport ?? (await this.#chooseTransport(engineId, agentVolume));
    return { engineId, agentVolume, transport };
  }

  #checkRuntime(known: string[]): void {
    const { runtime } = this.options;
    if (!runtime || known.includes(runtime) || runtime.startsWith("io.containerd.")) return; // those are named by no list
    const what = `SANDBOX_RUNTIME="${runtime}" is no runtime of this Docker engine, which knows ${known.join(", ")}`;
    throw new ToolFailure("SANDBOX_UNAVAILABLE", what, { hint: "Install it and name it in the engine's daemon.json" });
  }

  #labels(): Record<string, string> {
    const { deployment, store, worker } = this.options;
    return { [LABELS.deployment]: deployment, [LABELS.store]: store(), [LABELS.worker]: worker };
  }

  /** Says in the folder whose it is, for the sweeper of a later worker. */
  async #signRunFolder(): Promise<void> {
    const { runFolder, store } = this.options;
    await mkdir(runFolder, { recursive: true });
    await writeFile(join(runFolder, RUN_FOLDER_SIGN), store());
  }

  async #findImage(name: string, reference: string): Promise<void> {
    try {
      await this.deps.engine.imageId(reference);
    } catch (cause) {
      if (statusOf(cause) !== 404) throw cause;
      const what = `Image "${name}" is not on this worker's host; scripts/build-images or "docker pull" bring it there`;
      throw this.images.notFound(what, { cause });
    }
  }

  /** Not every engine carries a host's unix socket into a container (gVisor, Kata, Docker Desktop, remote ones): try it. */
  async #chooseTransport(engineId: string, agentVolume: string): Promise<AgentTransport> {
    if (this.options.transport !== "auto") return this.options.transport;
    if (!this.deps.engine.isLocal) return "attach";
    try {
      const image = {
        reference: this.images.reference(this.images.defaultName),
        transport: "socket" as const,
        hasEgress: false,
      };
      this.#tested = await this.#maker.make({ engineId, agentVolume }, image, SELF_TEST_TIMEOUT_MS);
      return "socket";
    } catch (err) {
      this.deps.log.warn({ err }, "this engine does not carry unix sockets into containers; using attached stdio");
      return "attach";
    }
  }
}
