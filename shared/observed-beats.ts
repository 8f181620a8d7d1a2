/** A pass that comes later than this after the last one proves nothing about the time between. */
const MAX_GAP_MS = 2_000;

interface Observed {
  beat: string;
  since: number;
}

/** Which workers' beats stand still, seen by somebody who reads them again and again. Times in ms of `performance.now()`. */
export class ObservedBeats {
  readonly #observed = new Map<string, Observed>();
  #passedAt = 0;

  /** Whether the last pass is too long ago to say anything of now. */
  get isOutdated(): boolean {
    return performance.now() - this.#passedAt > MAX_GAP_MS;
  }

  /**
   * Takes in what one pass read.
   * @param now after the answers: they may have been long on their way, and nobody's beat got through either
   * @returns in the workers' order, for how long each one's beat has stood still without a gap in the passes
   */
  see(workers: readonly string[], beats: readonly string[], now = performance.now()): number[] {
    if (now - this.#passedAt > MAX_GAP_MS) this.#observed.clear();
    this.#passedAt = now;
    for (const worker of this.#observed.keys()) if (!workers.includes(worker)) this.#observed.delete(worker);
    return workers.map((worker, i) => {
      const beat = beats[i]!;
      const known = this.#observed.get(worker);
      if (known?.beat === beat) return now - known.since;
      this.#observed.set(worker, { beat, since: now });
      return 0;
    });
  }

  /** The beat that was seen last. */
  of(worker: string): string | undefined {
    return this.#observed.get(worker)?.beat;
  }

  forget(worker: string): void {
    this.#observed.delete(worker);
  }
}
