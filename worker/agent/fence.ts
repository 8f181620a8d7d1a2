import type { Freezer } from "./freezer.ts";

const TIMEOUT_MAX_MS = 2 ** 31 - 1;
const HOLDER = "fence";

/**
 * The second fence, for a worker that was killed or stopped: what nobody vouches for any more is stopped, so that it does
 * nothing beside the session's next container. The next word from a worker lets it go on.
 */
export class Fence {
  /** When the worker's last word ends. */
  #openUntil = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #timerDueAt = Number.POSITIVE_INFINITY;
  #closedMs = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly freezer: Freezer) {}

  /** False: the worker's word has run out. */
  get isOpen(): boolean {
    return performance.now() < this.#openUntil;
  }

  /** How long it was closed so far, as deadlines leave that out. */
  get closedMs(): number {
    return this.#closedMs + Math.max(0, performance.now() - this.#openUntil);
  }

  /** @param forMs from now; `Infinity` without end */
  vouch(forMs: number): void {
    this.#closedMs = this.closedMs;
    this.#openUntil = performance.now() + forMs;
    this.freezer.release(HOLDER);
    for (const onOpened of this.#waiting.splice(0)) onOpened();
    if (this.#openUntil < this.#timerDueAt) this.#watch();
  }

  /** Resolves with the next word. */
  async opened(): Promise<void> {
    while (!this.isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** One timer that looks again when it rings too early: a word costs no timer. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timerDueAt = this.#openUntil;
    if (this.#openUntil === Number.POSITIVE_INFINITY) return;
    const dueInMs = Math.min(TIMEOUT_MAX_MS, Math.max(0, this.#openUntil - performance.now()));
    // The container may just have been thawed: a word that stands in the socket is read before it is missed.
    this.#timer = setTimeout(() => setImmediate(() => this.#onDue()), dueInMs);
  }

  #onDue(): void {
    this.#timerDueAt = Number.POSITIVE_INFINITY;
    if (this.isOpen) this.#watch();
    else void this.freezer.hold(HOLDER);
  }
}
