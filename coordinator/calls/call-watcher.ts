import { fromBinary } from "@bufbuild/protobuf";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { type SessionEvent, SessionEventSchema } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import { type CallId, isSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Service } from "../../shared/service.ts";

/** A session's channel stays subscribed this long after its last watch: most sessions are called again soon. */
const LINGER_MS = 60_000;

/** What a watcher of one call is told. Events may be lost: whoever needs the truth reads the record now and then. */
export interface CallListener {
  onEvent(event: SessionEvent): void;
  /** Events may have been missed, for a reason that is not the call's. */
  onGap(): void;
}

interface Channel {
  subscribed: Promise<unknown>;
  listeners: Map<CallId, Set<CallListener>>;
  linger: NodeJS.Timeout | undefined;
}

/** Fans the session channels of Redis out to the calls that wait here. One connection for all of them. */
export class CallWatcher implements Service {
  readonly #channels = new Map<SessionId, Channel>();

  constructor(private readonly deps: { subscriber: Redis; log: Logger }) {}

  start(): void {
    this.deps.subscriber.on("messageBuffer", this.#onMessage);
    this.deps.subscriber.on("ready", this.#onReconnect);
  }

  async stop(): Promise<void> {
    this.deps.subscriber.off("messageBuffer", this.#onMessage);
    this.deps.subscriber.off("ready", this.#onReconnect);
    for (const channel of this.#channels.values()) clearTimeout(channel.linger);
    this.#channels.clear();
  }

  /** Resolves once events of the session arrive here: whoever submits a call after that misses none of it. */
  async listen(sid: SessionId): Promise<void> {
    const channel = this.#channels.get(sid) ?? this.#open(sid);
    await channel.subscribed;
  }

  /** @returns a function that ends the watch */
  watch(sid: SessionId, callId: CallId, listener: CallListener): () => void {
    const channel = this.#channels.get(sid) ?? this.#open(sid);
    clearTimeout(channel.linger);
    const listeners = channel.listeners.get(callId) ?? new Set();
    channel.listeners.set(callId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) channel.listeners.delete(callId);
      if (channel.listeners.size === 0) this.#linger(sid, channel);
    };
  }

  #open(sid: SessionId): Channel {
    const { subscriber } = this.deps;
    const isReady = subscriber.status === "ready"; // else it would wait out the outage, and the client with it
    const subscribed = isReady
      ? subscriber.subscribe(keys.events(sid))
      : Promise.reject(new Error("Connection is closed."));
    const channel: Channel = { subscribed, listeners: new Map(), linger: undefined };
    this.#channels.set(sid, channel);
    subscribed.catch(() => this.#forget(sid, channel)); // whoever listens is told; the next call tries again
    this.#linger(sid, channel);
    return channel;
  }

  #linger(sid: SessionId, channel: Channel): void {
    clearTimeout(channel.linger);
    channel.linger = setTimeout(() => {
      if (!this.#forget(sid, channel)) return;
      this.deps.subscriber.unsubscribe(keys.events(sid)).catch(() => {}); // gone with the connection then
    }, LINGER_MS);
    channel.linger.unref();
  }

  /** @returns false when another channel has taken the place of this one */
  #forget(sid: SessionId, channel: Channel): boolean {
    return this.#channels.get(sid) === channel && this.#channels.delete(sid);
  }

  readonly #onMessage = (channelName: Buffer, message: Buffer): void => {
    const sid = channelName.toString().slice(4, -4); // cg:{<sid>}:ev
    const channel = isSessionId(sid) ? this.#channels.get(sid) : undefined;
    if (!channel) return;
    try {
      const event = fromBinary(SessionEventSchema, message);
      for (const listener of channel.listeners.get(event.callId as CallId) ?? []) listener.onEvent(event);
    } catch (err) {
      this.deps.log.error({ err, session: sid }, "a session event could not be read");
    }
  };

  readonly #onReconnect = (): void => {
    for (const channel of this.#channels.values()) {
      for (const listeners of channel.listeners.values()) for (const listener of listeners) listener.onGap();
    }
  };
}
