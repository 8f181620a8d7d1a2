import { type JobsOptions, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { CallId, SessionId } from "../../shared/ids.ts";
import { callJobId, callQueueOf, type Doorbell, jobOptions, PLACE_QUEUE, queueOptions } from "../../shared/queues.ts";
import type { Service } from "../../shared/service.ts";

/** Queue objects kept at most; a worker incarnation that is gone leaves its own behind until it is the oldest. */
const MAX_QUEUES = 256;
/**
 * Rings of calls wait this long for others and go out together. The submitting script has woken the owner already: the
 * job is what an operator's board and an autoscaler see, and what wakes the owner should that message be lost.
 */
const GATHER_MS = 100;
const MAX_GATHERED = 500;

interface Ring {
  name: string;
  data: Doorbell;
  opts: JobsOptions;
}

/**
 * Rings workers: one BullMQ job a call in its owner's queue, one job a waiting session in the place queue. A ring that
 * fails is logged and forgotten: the owner reads its lanes every second, and waiting calls are rung again.
 */
export class Doorbells implements Service {
  readonly #queues = new Map<string, Queue<Doorbell>>();
  /** Rings of calls by queue, until the timer. */
  #gathered = new Map<string, Ring[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly deps: { redis: Redis; log: Logger }) {}

  start(): void {}

  async stop(): Promise<void> {
    await this.#ringGathered();
    const queues = [...this.#queues.values()];
    this.#queues.clear();
    await Promise.allSettled(queues.map((queue) => queue.close()));
  }

  ringCall(
    owner: string,
    bell: { sessionId: SessionId; callId: CallId; tool: string; epoch: number; ring: number; traceparent?: string },
  ): void {
    const { sessionId, callId, tool, epoch, ring, traceparent } = bell;
    const opts = { ...jobOptions, jobId: callJobId(callId, epoch, ring) };
    const queueName = callQueueOf(owner);
    const rings = this.#gathered.get(queueName) ?? [];
    this.#gathered.set(queueName, rings);
    rings.push({ name: tool, data: { sessionId, callId, tool, ...(traceparent ? { traceparent } : {}) }, opts });
    if (rings.length >= MAX_GATHERED) void this.#ringGathered();
    else this.#timer ??= setTimeout(() => void this.#ringGathered(), GATHER_MS);
  }

  ringPlacement(): void {
    void this.#ring(PLACE_QUEUE, [{ name: "place", data: {}, opts: jobOptions }]);
  }

  async #ringGathered(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const gathered = this.#gathered;
    this.#gathered = new Map();
    await Promise.all([...gathered].map(([queueName, rings]) => this.#ring(queueName, rings)));
  }

  async #ring(queueName: string, rings: Ring[]): Promise<void> {
    try {
      await this.#queue(queueName).addBulk(rings);
    } catch (err) {
      this.deps.log.warn({ err, queue: queueName }, "doorbells were not rung");
    }
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
