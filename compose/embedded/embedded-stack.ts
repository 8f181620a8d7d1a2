import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ManagedProcess, StartError } from "./managed-process.ts";
import { PrivateRedis } from "./private-redis.ts";

const START_MS = 60_000;
/** Above the drain times of both processes. */
const STOP_MS = 70_000;
const POLL_MS = 50;

/** V8 lets its heap grow fourfold between full collections where it may become large, and half as much below 1 GB. */
const NODE_FLAGS = ["--enable-source-maps", "--max-old-space-size=1024"];

const main = (part: "coordinator" | "worker"): string =>
  fileURLToPath(new URL(`../../${part}/main.js`, import.meta.url)); // both are built into dist/

/** The folder's Redis remembers whose it is: what a start that crashed has left is swept by the next one in the folder. */
const deploymentOf = (folder: string): string =>
  `embedded-${createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 12)}`;

export interface StackOptions {
  /** Redis's data, logs and sockets. */
  folder: string;
  deployment?: string;
  coordinators?: number;
  workers?: number;
  port?: number;
  /** Settings of both processes, over the defaults. */
  env?: Record<string, string>;
  redisSettings?: string[];
}

/** The whole system on one machine: a private Redis, coordinators and workers as processes of their own. */
export class EmbeddedStack {
  readonly coordinators: ManagedProcess[] = [];
  readonly workers: ManagedProcess[] = [];
  /** The coordinators' MCP URLs. */
  readonly urls: string[] = [];
  readonly deployment: string;
  readonly #metricsUrls = new Map<ManagedProcess, string>();
  #started = 0;

  private constructor(
    private readonly options: StackOptions,
    readonly redis: PrivateRedis,
  ) {
    this.deployment = options.deployment ?? deploymentOf(options.folder);
  }

  /** Resolves when a call would be taken. @throws {StartError} with the end of the log of what did not start */
  static async start(options: StackOptions): Promise<EmbeddedStack> {
    await mkdir(options.folder, { recursive: true });
    const settings = options.redisSettings ?? [];
    const redis = await PrivateRedis.start({ folder: join(options.folder, "redis"), settings });
    const stack = new EmbeddedStack(options, redis);
    try {
      const workers = Array.from({ length: options.workers ?? 1 }, () => stack.addWorker());
      const coordinators = Array.from({ length: options.coordinators ?? 1 }, () => stack.addCoordinator());
      await Promise.all([...workers, ...coordinators]);
      await stack.#ready(options.workers ?? 1);
      return stack;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  get folder(): string {
    return this.options.folder;
  }

  get url(): string {
    return this.urls[0] ?? "";
  }

  /** Where Prometheus reads one of the stack's processes. */
  metricsUrl(child: ManagedProcess): string {
    return this.#metricsUrls.get(child) ?? "";
  }

  async addCoordinator(env: Record<string, string> = {}): Promise<ManagedProcess> {
    const index = this.coordinators.length;
    const port = index === 0 ? (this.options.port ?? 0) : 0;
    const child = this.#launch("coordinator", { PORT: String(port), ...env });
    this.coordinators.push(child);
    const match = await child.line(/"metrics":"([^"]+)","url":"([^"]+)","msg":"coordinator listens"/, START_MS);
    this.#metricsUrls.set(child, match[1]!);
    this.urls[index] = `${match[2]}/mcp`;
    return child;
  }

  async addWorker(env: Record<string, string> = {}): Promise<ManagedProcess> {
    const child = this.#launch("worker", env);
    this.workers.push(child);
    const match = await child.line(/"metrics":"([^"]+)","worker":"[^"]+","msg":"worker started"/, START_MS);
    this.#metricsUrls.set(child, match[1]!);
    return child;
  }

  /** As a supervisor would: ends a worker, which hands over, and starts its successor. Both are started as `addWorker` does. */
  async restartWorker(worker: ManagedProcess, env: Record<string, string> = {}): Promise<ManagedProcess> {
    await worker.stop(STOP_MS);
    return await this.addWorker(env);
  }

  /** Drains and ends what still runs. @returns its exit codes, all 0 after a clean stop */
  async stop(): Promise<(number | null)[]> {
    const stopAll = (children: ManagedProcess[], signal: NodeJS.Signals): Promise<(number | null)[]> =>
      Promise.all(children.filter((child) => child.isRunning).map((child) => child.stop(STOP_MS, signal)));
    // With SIGTERM a worker would leave its containers for a successor.
    const codes = [...(await stopAll(this.coordinators, "SIGTERM")), ...(await stopAll(this.workers, "SIGINT"))];
    await this.redis.stop();
    return codes;
  }

  #launch(part: "coordinator" | "worker", env: Record<string, string>): ManagedProcess {
    const name = `${part}-${++this.#started}`;
    const { folder } = this.options;
    return new ManagedProcess(name, process.execPath, [...NODE_FLAGS, main(part)], {
      logFile: join(folder, `${name}.log`),
      env: {
        ...process.env,
        REDIS_URL: this.redis.nearUrl,
        DEPLOYMENT: this.deployment,
        METRICS_PORT: "0",
        RUN_DIR: join(folder, "run"),
        CHECKPOINT_STORE: pathToFileURL(join(folder, "checkpoints")).href,
        STATE_DIR: join(folder, "state"),
        ...this.options.env,
        ...env,
      },
    });
  }

  async #ready(workers: number): Promise<void> {
    const until = performance.now() + START_MS;
    for (const url of this.urls) {
      for (;;) {
        const response = await fetch(new URL("/readyz", url)).catch(() => undefined);
        const body = (await response?.json().catch(() => undefined)) as { workers?: number } | undefined;
        if (response?.ok && (body?.workers ?? 0) >= workers) break;
        if (performance.now() > until) throw new StartError(`${url} did not become ready: ${JSON.stringify(body)}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }
}
