import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { keys } from "../../../shared/redis/keys.ts";
import type { Service } from "../../../shared/service.ts";

const CHANNEL = "cg:mcp-inbox";
/** Announcements may be lost, so whoever holds a stream looks by itself this often. */
const RELOOK_MS = 1_000;
const BATCH = 16;
/** A client that does not take its answers may send no more than this. */
const MAX_WAITING = 1_000;
/** Longer than it takes to notice that a stream's holder is gone. */
const TTL_S = 60;

interface Taker {
  onMessage(message: JSONRPCMessage): void;
  taking: Promise<void> | undefined;
  again: boolean;
}

/**
 * Messages for HTTP+SSE streams: put by whichever replica got them, taken in order by the one that holds the stream. They
 * stand in a list and are announced on a channel, so that a lost announcement costs a second and no message.
 */
export class SseInbox implements Service {
  readonly #takers = new Map<string, Taker>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly deps: { redis: Redis; subscriber: Redis; log: Logger }) {}

  async start(): Promise<void> {
    if (this.#timer) return;
    this.#timer = setInterval(() => {
      for (const id of this.#takers.keys()) this.#ring(id);
    }, RELOOK_MS);
    this.deps.subscriber.on("message", this.#onMessage);
    await this.deps.subscriber.subscribe(CHANNEL);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.deps.subscriber.off("message", this.#onMessage);
    this.#takers.clear();
  }

  /** @returns false when too many wait already */
  async put(id: string, message: JSONRPCMessage): Promise<boolean> {
    const { redis } = this.deps;
    const key = keys.mcpInbox(id);
    if ((await redis.llen(key)) >= MAX_WAITING) return false;
    await redis.rpush(key, JSON.stringify(message));
    await redis.expire(key, TTL_S);
    await redis.publish(CHANNEL, id);
    return true;
  }

  /** @returns a function that ends it */
  open(id: string, onMessage: (message: JSONRPCMessage) => void): () => void {
    this.#takers.set(id, { onMessage, taking: undefined, again: false });
    return () => this.#takers.delete(id);
  }

  #ring(id: string): void {
    const taker = this.#takers.get(id);
    if (!taker) return;
    taker.again = true;
    taker.taking ??= this.#take(id, taker)
      .catch((err: unknown) => this.deps.log.debug({ err }, "an inbox was not read")) // the next look tries again
      .finally(() => {
        taker.taking = undefined;
      });
  }

  async #take(id: string, taker: Taker): Promise<void> {
    while (taker.again) {
      taker.again = false;
      const messages = (await this.deps.redis.lpop(keys.mcpInbox(id), BATCH)) ?? [];
      if (messages.length > 0) taker.again = true;
      for (const message of messages) taker.onMessage(JSON.parse(message) as JSONRPCMessage);
    }
  }

  readonly #onMessage = (channel: string, id: string): void => {
    if (channel === CHANNEL) this.#ring(id);
  };
}
