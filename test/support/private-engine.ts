import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import Docker from "dockerode";
import { ManagedProcess } from "../../compose/embedded/managed-process.ts";

const START_MS = 60_000;
const STOP_MS = 30_000;
const POLL_MS = 100;
/** From this major version on an engine's id lies in its data root; before, in a file that all engines here would share. */
const OWN_ID_SINCE = 24;

/** How this machine reaches an engine that has networks; the addresses are for tests between hosts (RFC 2544), so nobody's. */
const LINK = { name: "codegen-test", here: "198.18.77.1", there: "198.18.77.2", bits: 30 };

/** A Docker Engine of this run's own, which may be restarted: nobody else has containers there. */
export class PrivateEngine {
  readonly docker: Docker;
  #process: ManagedProcess | undefined;

  private constructor(
    private readonly folder: string,
    readonly socket: string,
    private readonly isLinked: boolean,
  ) {
    this.docker = new Docker({ socketPath: socket });
  }

  /**
   * @param isLinked with networks, its ports reached from here at `address`; nothing further is reached from in there. One at a time.
   * @throws {Error} saying why this machine cannot have a second engine; nothing is left then
   */
  static async start(
    folder: string,
    images: string[],
    shared: Docker,
    { isLinked = false } = {},
  ): Promise<PrivateEngine> {
    if (process.platform !== "linux" || process.getuid?.() !== 0)
      throw new Error("starting dockerd takes root on Linux");
    await mkdir(folder, { recursive: true });
    const engine = new PrivateEngine(folder, join(folder, "docker.sock"), isLinked);
    try {
      const { Version } = await shared.version();
      const config =
        Number.parseInt(Version, 10) < OWN_ID_SINCE ? { "deprecated-key-path": join(folder, "key.json") } : {};
      await writeFile(join(folder, "daemon.json"), JSON.stringify(config));
      await engine.start();
      await engine.#load(images, shared);
      return engine;
    } catch (error) {
      await engine.stop();
      throw error;
    }
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const at = (name: string): string => join(this.folder, name);
    const args = ["--config-file", at("daemon.json"), "--host", `unix://${this.socket}`, "--pidfile", at("docker.pid")];
    args.push("--data-root", at("data"), "--exec-root", at("exec"), "--shutdown-timeout", "2");
    if (!this.isLinked) args.push("--bridge", "none", "--iptables=false");
    // In a network of its own: an engine without a bridge removes "docker0", which is the machine's engine's.
    this.#process = new ManagedProcess("dockerd", "unshare", ["--net", "dockerd", ...args], {
      logFile: at("dockerd.log"),
    });
    const until = performance.now() + START_MS;
    while (!(await this.docker.ping().catch(() => undefined))) {
      if (!this.#process.isRunning || performance.now() > until)
        throw new Error(`dockerd does not answer; the end of its log:\n${this.#process.log.slice(-1_000)}`);
      await sleep(POLL_MS);
    }
    if (this.isLinked) await link(this.#process.pid ?? 0);
  }

  /** Of an engine with networks: where its published ports are. */
  get address(): string {
    return LINK.there;
  }

  /** As a service manager restarts it: its containers die with it. */
  async restart(): Promise<void> {
    await this.#process?.stop(STOP_MS);
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#process?.stop(STOP_MS);
    await unmountBelow(this.folder);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #load(images: string[], shared: Docker): Promise<void> {
    for (const image of images) {
      const progress = await this.docker.loadImage(await shared.getImage(image).get());
      progress.resume();
      await once(progress, "end");
    }
  }
}

/** It goes with the process's network. */
const link = async (pid: number): Promise<void> => {
  const ip = (...args: string[]) => promisify(execFile)("ip", args);
  const there = (...args: string[]) => promisify(execFile)("nsenter", ["--target", `${pid}`, "--net", "ip", ...args]);
  const { name, bits } = LINK;
  await ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", `${pid}`);
  await ip("address", "add", `${LINK.here}/${bits}`, "dev", name);
  await there("address", "add", `${LINK.there}/${bits}`, "dev", "eth0");
  await ip("link", "set", name, "up");
  for (const device of ["lo", "eth0"]) await there("link", "set", device, "up");
};

/** An engine that was stopped while it made a container leaves that one's layer mounted. */
const unmountBelow = async (folder: string): Promise<void> => {
  if (process.platform !== "linux") return;
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  const below = mounts.filter((path) => path.startsWith(`${folder}/`)).reverse(); // the innermost first
  for (const path of below) await promisify(execFile)("umount", ["--lazy", path]).catch(() => {}); // `rm` says what stays
};
