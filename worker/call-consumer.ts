import { type Job, Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { CallId, SessionId } from "../shared/ids.ts";
import { callQueueOf, type Doorbell, queueOptions, workerOptions } from "../shared/queues.ts";
import { keys } from "../shared/redis/keys.ts";
import { parseOffer } from "../shared/redis/session-scripts.ts";
import type { Service } from "../shared/service.ts";
import type { SessionKeeper } from "./session/session-keeper.ts";

/** Answers this incarnation's doorbells and wakes: each makes the session look at its records. Passes on offers. */
export class CallConsumer implements Service {
  #worker: Worker<Doorbell, string> | undefined;

  constructor(
    private readonly deps: { redis: Redis; subscriber: Redis; keeper: SessionKeeper; log: Logger },
    private readonly incarnation: string,
    private readonly concurrency: number,
  ) {}

  async start(): Promise<void> {
    if (this.#worker) return;
    const { redis, subscriber, log } = this.deps;
    this.#worker = new Worker<Doorbell, string>(callQueueOf(this.incarnation), (job) => this.#answer(job), {
      ...workerOptions,
      connection: redis,
      concurrency: this.concurrency,
    });
    this.#worker.on("error", (err) => log[redis.status === "ready" ? "warn" : "debug"]({ err }, "call queue error"));
    void this.#worker.run();
    subscriber.on("message", this.#onMessage);
    await subscriber.subscribe(keys.wake(this.incarnation), keys.offer(this.incarnation));
  }

  /** Lets go of the queue and removes it: nobody else ever reads it. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    this.deps.subscriber.off("message", this.#onMessage);
    await worker.close(true);
    const queue = new Queue(callQueueOf(this.incarnation), { ...queueOptions, connection: this.deps.redis });
    await queue.obliterate({ force: true });
    await queue.close();
  }

  async #answer(job: Job<Doorbell>): Promise<string> {
    const session = this.deps.keeper.get(job.data.sessionId as SessionId);
    if (!session) return "gone";
    return await session.answer(job.data.callId as CallId);
  }

  readonly #onMessage = (channel: string, message: string): void => {
    const { keeper } = this.deps;
    if (channel === keys.wake(this.incarnation)) void keeper.get(message as SessionId)?.ring();
    if (channel !== keys.offer(this.incarnation)) return;
    const offer = parseOffer(message);
    keeper.get(offer.sessionId)?.take(offer);
  };
}
