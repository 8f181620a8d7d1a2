import type { ServerEvent, ServerEventBus } from "@modelcontextprotocol/server";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Service } from "../../shared/service.ts";

const CHANNEL = "cg:mcp-events";

/** Change events for `subscriptions/listen` streams, whichever replica holds them. Live only: nothing is kept. */
export class RedisEventBus implements ServerEventBus, Service {
  readonly #listeners = new Set<(event: ServerEvent) => void>();

  constructor(private readonly deps: { redis: Redis; subscriber: Redis; log: Logger }) {}

  async start(): Promise<void> {
    this.deps.subscriber.on("message", this.#onMessage);
    await this.deps.subscriber.subscribe(CHANNEL);
  }

  async stop(): Promise<void> {
    this.deps.subscriber.off("message", this.#onMessage);
    this.#listeners.clear();
  }

  publish(event: ServerEvent): void {
    const { redis, log } = this.deps;
    redis
      .publish(CHANNEL, JSON.stringify(event))
      .catch((err: unknown) => log.warn({ err }, "a change was not announced"));
  }

  subscribe(listener: (event: ServerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  readonly #onMessage = (channel: string, message: string): void => {
    if (channel !== CHANNEL) return;
    const event = JSON.parse(message) as ServerEvent;
    for (const listener of this.#listeners) listener(event);
  };
}
