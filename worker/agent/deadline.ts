import type { Fence } from "./fence.ts";

/** A process's time limit. Time in which the fence was closed does not count: nothing ran. */
export class Deadline {
  #timer: NodeJS.Timeout | undefined;
  readonly #startedAt = performance.now();
  readonly #closedMsAtStart: number;
  #isCleared = false;

  constructor(
    private readonly fence: Fence,
    private readonly timeoutMs: number,
    private readonly onPassed: () => void,
  ) {
    this.#closedMsAtStart = fence.closedMs;
    this.#arm();
  }

  clear(): void {
    this.#isCleared = true;
    clearTimeout(this.#timer);
  }

  get #leftMs(): number {
    const closedMs = this.fence.closedMs - this.#closedMsAtStart;
    return this.#startedAt + this.timeoutMs + closedMs - performance.now();
  }

  #arm(): void {
    this.#timer = setTimeout(() => void this.#onDue(), Math.max(0, Math.ceil(this.#leftMs)));
  }

  async #onDue(): Promise<void> {
    await this.fence.opened();
    if (this.#isCleared) return;
    if (this.#leftMs > 0) this.#arm();
    else this.onPassed();
  }
}
