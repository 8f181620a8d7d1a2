import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { CallId, SessionId } from "../../shared/ids.ts";
import { callJobId, callQueueOf, type Doorbell, jobOptions, PLACE_QUEUE, queueOptions } from "../../shared/queues.ts";
import type { Service } from "../../shared/service.ts";

/** Queue objects kept at most; a worker incarnation that is gone leaves its own behind until it is the oldest. */
const MAX_QUEUES = 256;

/**
 * Rings workers: one BullMQ job a call in its owner's queue, one job a waiting session in the place queue. A ring that
 * fails is logged and forgotten: the owner reads its lanes every second, and waiting calls are rung again.
 */
export class Doorbells implements Service {
  readonly #queues = new Map<string, Queue<Doorbell>>();

  constructor(private readonly deps: { redis: Redis; log: Logger }) {}

  start(): void {}

  async stop(): Promise<void> {
    const queues = [...this.#queues.values()];
    this.#queues.clear();
    await Promise.allSettled(queues.map((queue) => queue.close()));
  }

  ringCall(
    owner: string,
    bell: { sessionId: SessionId; callId: CallId; tool: string; epoch: number; ring: number },
  ): void {
    const { sessionId, callId, tool, epoch, ring } = bell;
    const jobId = callJobId(callId, epoch, ring);
    this.#add(callQueueOf(owner), tool, { sessionId, callId, tool }, jobId);
  }

  ringPlacement(): void {
    this.#add(PLACE_QUEUE, "place", {});
  }

  #add(queueName: string, name: string, data: Doorbell, jobId?: string): void {
    this.#queue(queueName)
      .add(name, data, { ...jobOptions, ...(jobId ? { jobId } : {}) })
      .catch((err: unknown) => this.deps.log.warn({ err, queue: queueName }, "a doorbell was not rung"));
  }

  #queue(name: string): Queue<Doorbell> {
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = new Queue<Doorbell>(name, {
      ...queueOptions,
      connection: this.deps.redis,
      skipWaitingForReady: true,
    });
    queue.on("error", (err) => this.deps.log.debug({ err, queue: name }, "queue error"));
    this.#queues.set(name, queue);
    for (const [oldest, old] of this.#queues) {
      if (this.#queues.size <= MAX_QUEUES) break;
      this.#queues.delete(oldest);
      old.close().catch(() => {}); // it shares our connection and holds nothing else
    }
    return queue;
  }
}
