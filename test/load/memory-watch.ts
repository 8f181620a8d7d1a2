import { setTimeout as sleep } from "node:timers/promises";
import { residentMb } from "../../bench/memory-rows.ts";
import { percentile, round } from "../../bench/sampling.ts";

const EVERY_MS = 200;

/** Resident memory of processes over the course of some work, told by how much of it was done. */
export class MemoryWatch {
  readonly #samples: { done: number; mb: Map<string, number> }[] = [];
  readonly #over = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(
    /** Name → pid. */
    private readonly pids: ReadonlyMap<string, number>,
    /** Share of the work that is done, 0 to 1. */
    private readonly done: () => number,
  ) {}

  start(): void {
    this.#loop ??= this.#watch();
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#loop;
  }

  /** Median of a process's memory in MB while the share of the work grew from `from` to `to`. */
  median(name: string, from: number, to: number): number {
    const within = this.#samples.filter(({ done }) => done >= from && done < to);
    return round(
      percentile(
        within.map(({ mb }) => mb.get(name) ?? Number.NaN),
        0.5,
      ),
    );
  }

  async #watch(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const mb = new Map<string, number>();
      for (const [name, pid] of this.pids) mb.set(name, await residentMb(pid));
      this.#samples.push({ done: this.done(), mb });
      await sleep(EVERY_MS, undefined, { signal: this.#over.signal }).catch(() => {}); // rejects only when stopped
    }
  }
}
