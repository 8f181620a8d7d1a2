import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { ToolFailure } from "../../shared/failure.ts";

/** A container as far as anyone here asks. */
export interface ContainerState {
  id: string;
  name: string;
  isRunning: boolean;
  /** One that is frozen also counts as running. */
  isPaused: boolean;
  /** The memory limit killed something in it at some time. */
  wasOomKilled: boolean;
  exitCode: number;
  env: string[];
  labels: Record<string, string>;
  /** Undefined when it has but its own loopback. */
  network: string | undefined;
  /** Folders of the host, by where they stand in the container. */
  binds: Record<string, string>;
}

/** A container, network or volume as the sweeper sees it. */
export interface Labelled {
  id: string;
  name: string;
  labels: Record<string, string>;
  /** By the engine's clock, ms. */
  createdAt: number;
}

export interface EngineInfo {
  id: string;
  version: string;
  /** Names of the runtimes that it knows, such as runc. */
  runtimes: string[];
}

/** What the engine says happened to a container: `die` (with `exitCode`), `oom`, `destroy`. */
export interface ContainerEvent {
  containerId: string;
  action: string;
}

const CALL_TIMEOUT_MS = 60_000;

/**
 * The one module that calls dockerode. Every failure is a `ToolFailure` SANDBOX_UNAVAILABLE with the original as `cause`;
 * what is gone already counts as removed.
 */
export class Engine {
  constructor(private readonly docker: Docker) {}

  /** False when the engine is reached over a network: then it sees other files than we do. */
  get isLocal(): boolean {
    return (this.docker.modem as { socketPath?: string }).socketPath !== undefined;
  }

  async info(): Promise<EngineInfo> {
    const info = await this.#call("ask the Docker engine who it is", () => this.docker.info());
    return { id: info.ID, version: info.ServerVersion, runtimes: Object.keys(info.Runtimes ?? {}) };
  }

  /** @throws {ToolFailure} SANDBOX_UNAVAILABLE when there is no such image */
  async imageId(name: string): Promise<string> {
    return (await this.#call(`find image "${name}"`, () => this.docker.getImage(name).inspect())).Id;
  }

  /** Gives the new container's id. */
  async create(options: Docker.ContainerCreateOptions): Promise<string> {
    // docker-modem's own way to say what goes where; else all of it stands in the URL as well, 12 KB with a seccomp profile.
    const request = { _query: { name: options.name }, _body: options } as Docker.ContainerCreateOptions;
    return (await this.#call(`create container "${options.name}"`, () => this.docker.createContainer(request))).id;
  }

  async start(id: string): Promise<void> {
    await this.#call(`start container ${short(id)}`, () => this.docker.getContainer(id).start());
  }

  /** Kills it, removes it, and with it its anonymous volumes. */
  async remove(id: string): Promise<void> {
    await this.#call(`remove container ${short(id)}`, () =>
      this.docker.getContainer(id).remove({ force: true, v: true }),
    ).catch((error) => {
      if (![404, 409].includes(statusOf(error) ?? 0)) throw error; // 409: another removal is in progress
    });
  }

  /** Idempotent. Stops everything in the container where it stands. */
  async pause(id: string): Promise<void> {
    await this.#call(`freeze container ${short(id)}`, () => this.docker.getContainer(id).pause()).catch(unlessDone);
  }

  /** Idempotent. */
  async unpause(id: string): Promise<void> {
    await this.#call(`thaw container ${short(id)}`, () => this.docker.getContainer(id).unpause()).catch(unlessDone);
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#call(`rename container ${short(id)} to "${name}"`, () => this.docker.getContainer(id).rename({ name }));
  }

  async update(id: string, limits: { Memory: number; MemorySwap: number; NanoCpus: number }): Promise<void> {
    await this.#call(`change the limits of container ${short(id)}`, () => this.docker.getContainer(id).update(limits));
  }

  /** Undefined when there is none. */
  async inspect(id: string): Promise<ContainerState | undefined> {
    try {
      const found = await this.#call(`inspect container ${short(id)}`, () => this.docker.getContainer(id).inspect());
      const { Running, Paused, OOMKilled, ExitCode } = found.State;
      const name = found.Name.replace(/^\//, "");
      return {
        id: found.Id,
        name,
        isRunning: Running,
        isPaused: Paused,
        wasOomKilled: OOMKilled,
        exitCode: ExitCode,
        env: found.Config.Env ?? [],
        labels: found.Config.Labels ?? {},
        network: found.HostConfig.NetworkMode === "none" ? undefined : found.HostConfig.NetworkMode,
        binds: Object.fromEntries(found.Mounts.map(({ Destination, Source }) => [Destination, Source])),
      };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  /** Ids of all containers, running or not, that carry every one of these labels. */
  async list(labels: Record<string, string>): Promise<string[]> {
    return (await this.containers(labels)).map(({ id }) => id);
  }

  /** All containers, running or not, that carry every one of these labels. */
  async containers(labels: Record<string, string>): Promise<Labelled[]> {
    const filters = { label: toFilter(labels) };
    const found = await this.#call("list containers", () => this.docker.listContainers({ all: true, filters }));
    return found.map(({ Id, Names, Labels, Created }) => ({
      id: Id,
      name: (Names[0] ?? "").replace(/^\//, ""),
      labels: Labels,
      createdAt: Created * 1000,
    }));
  }

  async networks(labels: Record<string, string>): Promise<Labelled[]> {
    const filters = { label: toFilter(labels) };
    const found = await this.#call("list networks", () => this.docker.listNetworks({ filters }));
    return found.map(({ Id, Name, Labels, Created }) => ({
      id: Id,
      name: Name,
      labels: Labels ?? {},
      createdAt: Date.parse(Created),
    }));
  }

  async volumes(labels: Record<string, string>): Promise<Labelled[]> {
    const filters = { label: toFilter(labels) };
    const { Volumes } = await this.#call("list volumes", () => this.docker.listVolumes({ filters }));
    return (Volumes ?? []).map((volume) => ({
      id: volume.Name,
      name: volume.Name,
      labels: volume.Labels ?? {},
      createdAt: Date.parse((volume as { CreatedAt?: string }).CreatedAt ?? ""),
    }));
  }

  /** @returns false for one that a container uses: the engine refuses */
  async removeNetwork(id: string): Promise<boolean> {
    const removal = this.#call(`remove network ${short(id)}`, () => this.docker.getNetwork(id).remove());
    return await removal.then(() => true, unlessInUse);
  }

  /** @returns false for one that a container mounts: the engine refuses */
  async removeVolume(name: string): Promise<boolean> {
    const removal = this.#call(`remove volume "${name}"`, () => this.docker.getVolume(name).remove());
    return await removal.then(() => true, unlessInUse);
  }

  /** Idempotent. */
  async createVolume(name: string, labels: Record<string, string>): Promise<void> {
    await this.#call(`create volume "${name}"`, () => this.docker.createVolume({ Name: name, Labels: labels }));
  }

  /** Unpacks a tar archive into a folder of a container, which need not run. */
  async putArchive(id: string, tar: Buffer, folder: string): Promise<void> {
    await this.#call(`write into container ${short(id)}`, () =>
      this.docker.getContainer(id).putArchive(tar, { path: folder }),
    );
  }

  /** Whether a container, which need not run, has this file. */
  async hasFile(id: string, path: string): Promise<boolean> {
    try {
      const look = () => this.docker.getContainer(id).infoArchive({ path });
      const response = (await this.#call(`look into container ${short(id)}`, look)) as NodeJS.ReadableStream;
      response.resume(); // an answer that nobody reads keeps its connection, and the process, for ever
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  }

  /** The container's stdin (write) and stdout (read) as one stream; its stderr is dropped. */
  async attach(id: string, output: NodeJS.WritableStream): Promise<Duplex> {
    const stream = await this.#call(`attach to container ${short(id)}`, () =>
      this.docker.getContainer(id).attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true }),
    );
    this.docker.modem.demuxStream(stream, output, { write: () => true } as unknown as NodeJS.WritableStream);
    return stream as Duplex;
  }

  /** Tells of every event of a container with this label until the stream breaks (rejects) or `signal` aborts. */
  async watch(
    label: string,
    onEvent: (event: ContainerEvent) => void,
    onReady: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const filters = { type: ["container" as const], event: ["die", "oom", "destroy"], label: [label] };
    const stream = await this.#call("listen to the Docker engine's events", () =>
      this.docker.getEvents({ filters, abortSignal: signal }),
    );
    onReady();
    let text = "";
    for await (const chunk of stream) {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.trim()) continue;
        const { id, status } = JSON.parse(line) as { id: string; status: string };
        onEvent({ containerId: id, action: status });
      }
    }
    if (!signal.aborted) throw unavailable("listen to the Docker engine's events", new Error("the stream ended"));
  }

  async #call<T>(action: string, run: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`)), CALL_TIMEOUT_MS);
    });
    try {
      return await Promise.race([run(), deadline]);
    } catch (cause) {
      throw unavailable(action, cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The Engine API's HTTP status behind a failure; undefined when the engine did not answer. */
export const statusOf = (error: unknown): number | undefined => {
  const cause = error instanceof ToolFailure ? error.cause : error;
  return (cause as { statusCode?: number } | undefined)?.statusCode;
};

/** It is paused already, or not, or does not run: who holds it hears of that by its death. */
const unlessDone = (error: unknown): void => {
  const isDone = statusOf(error) === 409 || (error instanceof Error && /is not paused/.test(error.message));
  if (!isDone) throw error;
};

const unavailable = (action: string, cause: unknown): ToolFailure => {
  const { statusCode, reason, message } = cause as { statusCode?: number; reason?: string; message: string };
  const isMissingImage = statusCode === 404 && /no such image/i.test(message);
  return new ToolFailure(
    "SANDBOX_UNAVAILABLE",
    `Cannot ${action}: ${statusCode ? (reason ?? message) : `the Docker engine does not answer (${message})`}`,
    {
      cause,
      ...(isMissingImage ? { hint: "Build the images with scripts/build-images" } : {}),
    },
  );
};

const toFilter = (labels: Record<string, string>): string[] =>
  Object.entries(labels).map(([name, value]) => `${name}=${value}`);

/** Gone already, or still used: both leave nothing to do. */
const unlessInUse = (error: unknown): boolean => {
  const status = statusOf(error) ?? 0;
  if (![403, 404, 409].includes(status)) throw error;
  return status === 404;
};

const short = (id: string): string => id.slice(0, 12);
