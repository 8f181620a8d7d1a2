import { once } from "node:events";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { type Doorbell, jobOptions, queueOptions, workerOptions } from "../shared/queues.ts";
import type { Probe } from "./sampling.ts";

const PING = "bench:ping";
const PONG = "bench:pong";
const REPLIES = "bench:replies";
const QUEUE = "bench";
const REDIS_OPTIONS = { maxRetriesPerRequest: null };

/** What Redis and BullMQ alone cost, on the Redis of the stack that is measured. Both ends are in this process. */
export class QueueProbes {
  readonly #connections: Redis[] = [];
  readonly #queue: Queue<Doorbell>;
  readonly #worker: Worker<Doorbell>;
  #echoing: Promise<void> | undefined;

  private constructor(private readonly url: string) {
    const publisher = this.#connect();
    this.#queue = new Queue<Doorbell>(QUEUE, { ...queueOptions, connection: this.#connect() });
    this.#worker = new Worker<Doorbell>(QUEUE, (job) => publisher.publish(REPLIES, String(job.id)), {
      ...workerOptions,
      connection: this.#connect(),
    });
  }

  static async start(url: string): Promise<QueueProbes> {
    const probes = new QueueProbes(url);
    void probes.#worker.run();
    await probes.#worker.waitUntilReady();
    return probes;
  }

  /** LPUSH and BRPOP there, LPUSH and BRPOP back, between two connections. */
  listRoundTrip(): Probe {
    const [here, there] = [this.#connect(), this.#connect()];
    this.#echoing = echo(there);
    const sample = async (): Promise<void> => {
      await here.lpush(PING, "x");
      await here.brpop(PONG, 10);
    };
    return { name: "redis_list_round_trip", sample };
  }

  /** `Queue.add`, the worker takes the job, and PUBLISH tells us: with the options of our call queues. */
  async bullmqRoundTrip(): Promise<Probe> {
    const subscriber = this.#connect();
    await subscriber.subscribe(REPLIES);
    const sample = async (): Promise<void> => {
      const replied = once(subscriber, "message");
      await this.#queue.add("bench", { sessionId: "bench" }, jobOptions);
      await replied;
    };
    return { name: "bullmq_round_trip", sample };
  }

  async stop(): Promise<void> {
    await this.#worker.close(true);
    await this.#queue.obliterate({ force: true });
    await this.#queue.close();
    for (const connection of this.#connections) connection.disconnect();
    await this.#echoing;
  }

  #connect(): Redis {
    const connection = new Redis(this.url, REDIS_OPTIONS);
    this.#connections.push(connection);
    return connection;
  }
}

/** Answers until its connection is closed. */
const echo = async (redis: Redis): Promise<void> => {
  try {
    for (;;) if (await redis.brpop(PING, 0)) await redis.lpush(PONG, "x");
  } catch {
    // closed
  }
};
