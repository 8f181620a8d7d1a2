import { StringDecoder } from "node:string_decoder";
import type { ProgressSink } from "../calls/caller.ts";

/** At most ten messages a second, and at least one every ten seconds, so that no proxy thinks the stream dead. */
const EVERY_MS = 100;
const KEEP_ALIVE_MS = 10_000;
/** A client that reads slower than a command writes gets the newest text; the whole stands in the process's stream. */
const MAX_PENDING_CHARACTERS = 65_536;

/** Turns output into MCP progress messages. `send` may fail once the client is gone: nothing more is sent then. */
export class ProgressNotifier implements ProgressSink {
  readonly #decoders = { out: new StringDecoder("utf8"), err: new StringDecoder("utf8") };
  #pending = "";
  #bytes = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  readonly #keepAlive: NodeJS.Timeout;

  constructor(private readonly send: (progress: number, message: string) => Promise<void>) {
    this.#keepAlive = setInterval(() => {
      if (performance.now() - this.#sentAt >= KEEP_ALIVE_MS) this.#emit("");
    }, KEEP_ALIVE_MS / 2);
  }

  output(data: Buffer, isStderr: boolean): void {
    this.#bytes += data.length;
    this.#pending += this.#decoders[isStderr ? "err" : "out"].write(data);
    if (this.#pending.length > MAX_PENDING_CHARACTERS) {
      this.#pending = `[…]${this.#pending.slice(-MAX_PENDING_CHARACTERS / 2)}`;
    }
    const wait = this.#sentAt + EVERY_MS - performance.now();
    if (wait <= 0) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), wait);
  }

  queued(position: number): void {
    if (position > 0) this.#emit(`waiting, position ${position}`);
  }

  /** Sends what is pending, and nothing after it. */
  end(): void {
    if (this.#pending) this.#flush();
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#keepAlive);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#pending;
    this.#pending = "";
    this.#emit(text);
  }

  #steps = 0;
  #emit(message: string): void {
    if (this.#isOver) return;
    this.#sentAt = performance.now();
    this.#steps++; // progress must grow with every message, also where no byte came
    this.send(this.#bytes + this.#steps, message).catch(() => {
      this.#isOver = true;
    });
  }
}
