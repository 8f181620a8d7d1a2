import { Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { SessionId } from "../shared/ids.ts";
import { type Doorbell, jobOptions, PLACE_QUEUE, queueOptions, workerOptions } from "../shared/queues.ts";
import { keys } from "../shared/redis/keys.ts";
import type { Placement } from "../shared/redis/placement.ts";
import type { SessionScripts } from "../shared/redis/session-scripts.ts";
import type { Service } from "../shared/service.ts";
import type { SessionKeeper } from "./session/session-keeper.ts";

/** A worker whose load is above the lowest by more than this share of its capacity leaves the session to others. */
const SLACK = 0.1;
/** How soon a doorbell that somebody else should answer rings again. */
const YIELD_MS = 10;
const CONCURRENCY = 4;
/**
 * Sessions whose containers are being made at once. What waits longer waits in the line, where principals take turns: a
 * claimed session would wait behind whoever was claimed before it.
 */
const MAX_STARTING = 4;

/** Takes waiting sessions while this worker has a free slot. Pull alone would give a quick worker nearly all of them. */
export class PlacementConsumer implements Service {
  #worker: Worker<Doorbell, string> | undefined;
  #queue: Queue<Doorbell> | undefined;
  #reserved = 0;
  #isPassingOn = false;

  constructor(
    private readonly deps: {
      redis: Redis;
      placement: Placement;
      scripts: SessionScripts;
      keeper: SessionKeeper;
      /** No Docker, or no beat that got through, no sessions. */
      mayTake: () => boolean;
      metrics: { placed(waitedMs: number): void };
      log: Logger;
    },
    private readonly options: { worker: string; capacity: number; leaseMs: number },
  ) {}

  /** Share of the slots in use, 0 to 1. */
  get load(): number {
    return (this.deps.keeper.size + this.#reserved) / this.options.capacity;
  }

  start(): void {
    if (this.#worker) return;
    const { redis, log } = this.deps;
    this.#queue = new Queue<Doorbell>(PLACE_QUEUE, { ...queueOptions, connection: redis });
    this.#worker = new Worker<Doorbell, string>(PLACE_QUEUE, () => this.takeOne(), {
      ...workerOptions,
      connection: redis,
      concurrency: CONCURRENCY,
    });
    const onError = (err: Error): void =>
      log[redis.status === "ready" ? "warn" : "debug"]({ err }, "place queue error");
    this.#queue.on("error", onError);
    this.#worker.on("error", onError);
    void this.#worker.run();
  }

  async stop(): Promise<void> {
    const [worker, queue] = [this.#worker, this.#queue];
    this.#worker = undefined;
    this.#queue = undefined;
    await worker?.close();
    await queue?.close();
    await this.deps.placement.forget(this.options.worker);
  }

  /** Puts a session in line for another worker, before new ones and however many wait: it was somebody's before. */
  async giveBack(sid: SessionId, principal: string): Promise<void> {
    const { redis, placement } = this.deps;
    await placement.enqueue(sid, principal, 0, { isReturning: true });
    const queue = new Queue<Doorbell>(PLACE_QUEUE, { ...queueOptions, connection: redis });
    await queue.add("place", {}, jobOptions);
    await queue.close();
  }

  /** Takes the session whose turn it is, if this worker should. @returns what happened, for the operator's board */
  async takeOne(): Promise<string> {
    const { redis, placement, scripts, keeper, mayTake, metrics } = this.deps;
    const { worker, capacity, leaseMs } = this.options;
    if (!this.#worker) return "stopping";
    if (!mayTake() || keeper.size + this.#reserved >= capacity) return await this.#passOn("no free slot", 100);
    if (keeper.starting + this.#reserved >= MAX_STARTING) return await this.#passOn("enough are being started", 100);
    this.#reserved++;
    try {
      const taken = await placement.take(worker, (keeper.size + this.#reserved - 1) / capacity, SLACK, leaseMs);
      if (taken.kind === "yield") return await this.#passOn("left to a freer worker", YIELD_MS);
      if (taken.kind === "none") return "nobody waits";
      await redis.sadd(keys.workerSessions(worker), taken.sessionId);
      const epoch = await scripts.claim(taken.sessionId, worker);
      if (epoch > 0) metrics.placed(taken.waitedMs);
      if (epoch > 0) await keeper.adopt(taken.sessionId, epoch);
      await placement.settle(taken.sessionId);
      return epoch > 0 ? "placed" : "gone";
    } finally {
      this.#reserved--;
    }
  }

  /** Rings again for whoever else may answer; one such ring a worker is enough, however many doorbells came. */
  async #passOn(why: string, delayMs: number): Promise<string> {
    if (this.#isPassingOn || (await this.deps.placement.waiting()) === 0) return why;
    this.#isPassingOn = true;
    setTimeout(() => {
      this.#isPassingOn = false;
      this.#queue?.add("place", {}, jobOptions).catch(() => {}); // the coordinators ring too
    }, delayMs);
    return why;
  }
}
