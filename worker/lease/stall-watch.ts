import { monotonicMs } from "../../shared/monotonic.ts";
import type { SharedState } from "./shared-state.ts";

/** Sooner than that after the last look, a look counts in full; a longer gap says that we did not run either. */
const LOOK_MAX_MS = 5_000;

/** Tells whether the main loop has stopped turning. Time in which the whole process was stopped does not count. */
export class StallWatch {
  #ticks = -1;
  #lookedAtMs: number;
  #stalledMs = 0;

  constructor(
    private readonly state: SharedState,
    private readonly limitMs: number,
    private readonly now: () => number = monotonicMs,
  ) {
    this.#lookedAtMs = now();
  }

  /** To be asked again and again. */
  isStalled(): boolean {
    const now = this.now();
    const { ticks } = this.state;
    this.#stalledMs = ticks === this.#ticks ? this.#stalledMs + Math.min(now - this.#lookedAtMs, LOOK_MAX_MS) : 0;
    this.#lookedAtMs = now;
    this.#ticks = ticks;
    return this.#stalledMs >= this.limitMs;
  }
}
