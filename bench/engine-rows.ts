import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { Probe } from "./sampling.ts";

/** What a container that was left would be found by. */
const LABEL = "codegen-mcp.bench";

/** What the Docker Engine alone costs: a command in a session's own container, and another container like it. */
export class EngineProbes {
  #created = "";
  readonly #run = randomBytes(4).toString("hex");

  /** @param container a session's container: the one to run in, and the model of those to start */
  constructor(
    private readonly docker: Docker,
    private readonly container: string,
    private readonly emptyFolder: string,
  ) {}

  /** Create the exec, start it, wait for its end, ask for its exit code. */
  execTrue(): Probe {
    const sample = async (): Promise<void> => {
      const exec = await this.docker
        .getContainer(this.container)
        .exec({ Cmd: ["true"], AttachStdout: true, AttachStderr: true });
      const stream = await exec.start({});
      await new Promise((resolve, reject) => stream.once("end", resolve).once("error", reject).resume());
      const { ExitCode, Running } = await exec.inspect();
      if (Running || ExitCode !== 0) throw new Error(`docker exec true ended with ${ExitCode}`);
    };
    return { name: "docker_exec_true", sample };
  }

  /** Same image, limits, mounts and hardening as the session's; only its link to the worker leads to an empty folder. */
  async createAndStart(): Promise<Probe> {
    const { Config, HostConfig } = await this.docker.getContainer(this.container).inspect();
    const mounts = HostConfig.Mounts?.map((mount) =>
      mount.Type === "bind" ? { ...mount, Source: this.emptyFolder } : mount,
    );
    const { Image, User, Env, Cmd, Entrypoint, WorkingDir, OpenStdin } = Config;
    const options = {
      ...{ Image, User, Env, Cmd, WorkingDir, OpenStdin, NetworkDisabled: true, Hostname: "sandbox" },
      ...(Entrypoint ? { Entrypoint } : {}),
      Labels: { [LABEL]: this.#run },
      HostConfig: { ...HostConfig, ...(mounts ? { Mounts: mounts } : {}) },
    };
    const sample = async (): Promise<void> => {
      const container = await this.docker.createContainer(options);
      this.#created = container.id;
      await container.start();
    };
    return { name: "container_create_start", sample, restore: () => this.stop() };
  }

  /** Removes what a sample left. */
  async stop(): Promise<void> {
    const id = this.#created;
    this.#created = "";
    if (id) await this.docker.getContainer(id).remove({ force: true, v: true });
  }
}

/** Ids of the containers with this label, running ones only unless told otherwise. */
export const containersOf = async (
  docker: Docker,
  label: string,
  options: { all?: boolean } = {},
): Promise<string[]> => {
  const found = await docker.listContainers({ ...options, filters: { label: [label] } });
  return found.map(({ Id }) => Id);
};

/** Resolves when the worker of `label` has `count` running containers, sessions and pool together. */
export const whenRunning = async (docker: Docker, label: string, count: number, signal: AbortSignal): Promise<void> => {
  const until = performance.now() + 60_000;
  while ((await containersOf(docker, label)).length !== count) {
    signal.throwIfAborted();
    if (performance.now() > until) throw new Error(`the pool did not come to ${count} containers within a minute`);
    await sleep(20);
  }
};
