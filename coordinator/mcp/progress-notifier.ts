import { StringDecoder } from "node:string_decoder";
import type { ProgressSink } from "../calls/caller.ts";

/** At most ten messages a second, and at least one every ten seconds, so that no proxy thinks the stream dead. */
const EVERY_MS = 100;
const KEEP_ALIVE_MS = 10_000;
/** A command that writes faster is told with a delay: the rest stays in the process's stream until there is room. */
const MAX_PENDING_CHARACTERS = 131_072;

/** Sends one message. @param cursor the chunk of output, `<epoch>-<sequence>`, up to which the messages so far tell */
export type SendProgress = (progress: number, message: string, cursor: string) => Promise<void>;

/** What a client was told before its stream broke. */
export interface Told {
  cursor: string;
  /** At least the number that the last message had. */
  progress: number;
  /** The ends of both streams so far: a character that they cut is told whole. */
  tails: { out: Buffer; err: Buffer };
}

/** Turns output into MCP progress messages. `send` may fail once the client is gone: nothing more is sent then. */
export class ProgressNotifier implements ProgressSink {
  onRoom: (() => void) | undefined;
  readonly #decoders = { out: new StringDecoder("utf8"), err: new StringDecoder("utf8") };
  #cursor = "0-0";
  #pending = "";
  #progress = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  readonly #keepAlive: NodeJS.Timeout;

  constructor(
    private readonly send: SendProgress,
    told?: Told,
  ) {
    if (told) {
      this.#cursor = told.cursor;
      this.#progress = told.progress;
      this.#decoders.out.write(told.tails.out);
      this.#decoders.err.write(told.tails.err);
    }
    this.#keepAlive = setInterval(() => {
      if (performance.now() - this.#sentAt >= KEEP_ALIVE_MS) this.#emit("");
    }, KEEP_ALIVE_MS / 2);
  }

  get isFull(): boolean {
    return this.#pending.length >= MAX_PENDING_CHARACTERS;
  }

  output(data: Buffer, isStderr: boolean, id: string): void {
    this.#progress += data.length;
    this.#cursor = id;
    this.#tell(this.#decoders[isStderr ? "err" : "out"].write(data));
  }

  skipped(until: number): void {
    this.#tell(`[output before byte ${until} is no longer kept]\n`);
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

  #tell(text: string): void {
    this.#pending += text;
    const wait = this.#sentAt + EVERY_MS - performance.now();
    if (wait <= 0) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const wasFull = this.isFull;
    const text = this.#pending;
    this.#pending = "";
    this.#emit(text);
    if (wasFull) this.onRoom?.();
  }

  #emit(message: string): void {
    if (this.#isOver) return;
    this.#sentAt = performance.now();
    this.#progress++; // it must grow with every message, also where no byte came
    this.send(this.#progress, message, this.#cursor).catch(() => {
      this.#isOver = true;
    });
  }
}
