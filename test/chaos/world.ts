import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import type { Redis } from "ioredis";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import type { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { freePort } from "../../compose/embedded/private-redis.ts";
import type { SessionId } from "../../shared/ids.ts";
import { closeRedis, createRedis, whenReady } from "../../shared/redis/connect.ts";
import { keys } from "../../shared/redis/keys.ts";
import { VERSION } from "../../shared/version.ts";
import { LABELS } from "../../worker/sandbox/container-spec.ts";
import { PrivateEngine } from "../support/private-engine.ts";
import { RoundRobinProxy } from "../support/round-robin-proxy.ts";
import { silentLog } from "../support/silent-log.ts";
import { Link } from "./link.ts";

/** Not /tmp, which lives in memory on some systems: an append-only file costs nothing there. */
const FOLDER = "/var/tmp/codegen-mcp-chaos-";
const WORKERS = 3;
const COORDINATORS = 2;
const IMAGES = [`codegen-mcp/python:${VERSION}`, `codegen-mcp/agent:${VERSION}`];

export interface CoordinatorPart {
  name: string;
  port: number;
  process: ManagedProcess;
  redisLink: Link;
  httpLink: Link;
}

export interface WorkerPart {
  name: string;
  /** Undefined for the machine's engine. */
  engine: PrivateEngine | undefined;
  process: ManagedProcess;
  incarnation: string;
  redisLink: Link;
  dockerLink: Link;
}

/**
 * The system under test, with a link of ours in every connection: clients to a load balancer, that to two coordinators,
 * they and three workers to Redis, the workers to their Docker engines. One worker has an engine of its own.
 */
export class ChaosWorld {
  readonly coordinators: CoordinatorPart[] = [];
  readonly workers: WorkerPart[] = [];
  engine: PrivateEngine | undefined;
  /** Why there is no engine that may be restarted. */
  engineProblem: string | undefined;
  readonly docker = new Docker();
  #proxy: RoundRobinProxy | undefined;
  #entrance: Link | undefined;
  #started = 0;

  private constructor(
    readonly folder: string,
    readonly stack: EmbeddedStack,
    /** Straight to Redis, past every link. */
    readonly redis: Redis,
    private readonly say: (text: string) => void,
  ) {}

  static async start(options: {
    say: (text: string) => void;
    /** Whether one worker gets an engine that may be restarted. */
    ownEngine: boolean;
    env: Record<string, string>;
  }): Promise<ChaosWorld> {
    const folder = await mkdtemp(FOLDER);
    const env = { ...options.env, DOCKER_HOST: "" };
    const stack = await EmbeddedStack.start({ folder, coordinators: 0, workers: 0, env });
    const redis = createRedis(stack.redis.url, "patient", silentLog);
    await whenReady(redis);
    const world = new ChaosWorld(folder, stack, redis, options.say);
    try {
      if (options.ownEngine) await world.#startEngine();
      else world.engineProblem = "this run was told to use the machine's engine only";
      await world.#startParts();
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#entrance?.port}/mcp`;
  }

  get deployment(): string {
    return this.stack.deployment;
  }

  /** Every engine that holds containers of this run. */
  get engines(): Docker[] {
    return this.engine ? [this.docker, this.engine.docker] : [this.docker];
  }

  /** The links by what they join. */
  get links(): { name: string; link: Link }[] {
    const all = [{ name: "clients to the load balancer", link: this.#entrance! }];
    for (const { name, httpLink, redisLink } of this.coordinators) {
      all.push({ name: `the load balancer to ${name}`, link: httpLink }, { name: `${name} to Redis`, link: redisLink });
    }
    for (const { name, redisLink, dockerLink } of this.workers) {
      all.push({ name: `${name} to Redis`, link: redisLink }, { name: `${name} to Docker`, link: dockerLink });
    }
    return all;
  }

  /** Starts one more worker, beside those that run. */
  async startWorker(engine: PrivateEngine | undefined): Promise<WorkerPart> {
    const name = `worker-${++this.#started}`;
    const redisLink = await Link.start(this.stack.redis.port);
    const dockerPath = join(this.folder, `${name}-docker.sock`);
    const dockerLink = await Link.start(engine?.socket ?? (await socketOf(this.docker)), dockerPath);
    // Without a state folder: a worker that is killed is a host that is lost, and its sessions go elsewhere.
    const env = { REDIS_URL: this.#redisUrl(redisLink), DOCKER_HOST: `unix://${dockerPath}`, STATE_DIR: "" };
    const process = await this.stack.addWorker(env);
    const incarnation = /"worker":"(w_\w+)","msg":"worker started"/.exec(process.log)?.[1] ?? "";
    const part = { name, engine, process, incarnation, redisLink, dockerLink };
    this.workers.push(part);
    return part;
  }

  /** Takes a worker that was killed out of the world. */
  async forgetWorker(worker: WorkerPart): Promise<void> {
    this.workers.splice(this.workers.indexOf(worker), 1);
    await Promise.all([worker.redisLink.stop(), worker.dockerLink.stop()]);
  }

  /** Starts a coordinator again on its port. */
  async restartCoordinator(part: CoordinatorPart): Promise<void> {
    part.process = await this.stack.addCoordinator({
      PORT: String(part.port),
      REDIS_URL: this.#redisUrl(part.redisLink),
    });
  }

  /** Which worker has a session now, by incarnation. */
  async ownerOf(sid: SessionId): Promise<string> {
    return (await this.redis.hget(keys.session(sid), "owner")) ?? "";
  }

  /** The container that a session has now, on the engine that has it. */
  async containerOf(sid: SessionId): Promise<Docker.Container | undefined> {
    const [id, owner] = await this.redis.hmget(keys.session(sid), "container", "owner");
    const worker = this.workers.find(({ incarnation }) => incarnation === owner);
    return id && worker ? (worker.engine?.docker ?? this.docker).getContainer(id) : undefined;
  }

  /** Ends the processes, but not Redis and the engines. @returns exit codes */
  async stopProcesses(): Promise<(number | null)[]> {
    const parts = [...this.coordinators, ...this.workers];
    return await Promise.all(parts.map(({ process }) => process.stop(70_000)));
  }

  /** Takes everything down, also what the processes should have removed. */
  async stop(): Promise<void> {
    await closeRedis(this.redis);
    await this.stack.stop();
    const filters = { label: [`${LABELS.deployment}=${this.deployment}`] };
    const left = await this.docker.listContainers({ all: true, filters });
    await Promise.all(left.map(({ Id }) => this.docker.getContainer(Id).remove({ force: true })));
    await this.#proxy?.stop();
    await Promise.all(this.links.map(({ link }) => link?.stop()));
    await this.engine?.stop();
  }

  /** Forgets data and logs. */
  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #startEngine(): Promise<void> {
    this.say("an own Docker engine for one of the workers");
    try {
      this.engine = await PrivateEngine.start(join(this.folder, "engine"), IMAGES, this.docker);
    } catch (error) {
      this.engineProblem = (error as Error).message;
    }
  }

  async #startParts(): Promise<void> {
    this.say("Redis, two coordinators behind a load balancer, three workers");
    for (let i = 0; i < COORDINATORS; i++) {
      const redisLink = await Link.start(this.stack.redis.port);
      const port = await freePort();
      const env = { PORT: String(port), REDIS_URL: this.#redisUrl(redisLink) };
      const process = await this.stack.addCoordinator(env);
      const httpLink = await Link.start(port);
      this.coordinators.push({ name: `coordinator-${i + 1}`, port, process, redisLink, httpLink });
    }
    const engines = Array.from({ length: WORKERS }, (_, i) => (i === 0 ? this.engine : undefined));
    for (const engine of engines) await this.startWorker(engine);
    this.#proxy = await RoundRobinProxy.start(
      this.coordinators.map(({ httpLink }) => `http://127.0.0.1:${httpLink.port}`),
    );
    this.#entrance = await Link.start(Number(new URL(this.#proxy.url).port));
  }

  #redisUrl(link: Link): string {
    const url = new URL(this.stack.redis.url);
    url.port = String(link.port);
    return url.href;
  }
}

/** The unix socket that Docker's own settings lead to. */
const socketOf = async (docker: Docker): Promise<string> => {
  const { socketPath } = docker.modem as unknown as { socketPath?: string | (() => Promise<string>) };
  const found = typeof socketPath === "function" ? await socketPath() : socketPath;
  if (!found) throw new Error("chaos needs a Docker engine on a unix socket of this machine");
  return found;
};
