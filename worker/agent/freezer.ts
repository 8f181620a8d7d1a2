import { setTimeout as delay } from "node:timers/promises";
import { signalAll } from "./kill-tree.ts";
import { type ProcessEntry, readProcessTable } from "./process-table.ts";

const ROUNDS = 50;
/** A process stops when it next leaves the kernel; one that waits for a disk does not. */
const POLL_MS = 1;
const POLLS = 20;

/**
 * Stops every process of the session for as long as somebody holds it: what is stopped writes and starts nothing. PID 1
 * and the agent go on. What the user stopped stays stopped afterwards.
 */
export class Freezer {
  readonly #holders = new Set<string>();
  readonly #stopped = new Set<number>();
  #thawed: Promise<void> = Promise.resolve();
  #onThawed = (): void => {};

  get isFrozen(): boolean {
    return this.#holders.size > 0;
  }

  /** Processes of the session that live, whoever stopped them. */
  living(): number[] {
    return others().map(({ pid }) => pid);
  }

  /** Resolves at once unless somebody holds the processes. */
  thawed(): Promise<void> {
    return this.#thawed;
  }

  /** Idempotent for each holder. Resolves when everything stands still. */
  async hold(holder: string): Promise<void> {
    if (!this.isFrozen)
      this.#thawed = new Promise((resolve) => {
        this.#onThawed = resolve;
      });
    this.#holders.add(holder);
    for (let round = 0; round < ROUNDS; round++) {
      const fresh = others().filter(({ pid, state }) => state !== "T" && state !== "t" && !this.#stopped.has(pid));
      if (fresh.length === 0) break;
      const pids = fresh.map(({ pid }) => pid);
      signalAll(pids, "SIGSTOP");
      for (const pid of pids) this.#stopped.add(pid);
    }
    for (let poll = 0; poll < POLLS && this.#isAnyMoving(); poll++) await delay(POLL_MS);
  }

  /** Idempotent. The last holder's release lets everything go on. */
  release(holder: string): void {
    if (!this.#holders.delete(holder) || this.isFrozen) return;
    signalAll(this.#stopped, "SIGCONT");
    this.#stopped.clear();
    this.#onThawed();
  }

  #isAnyMoving(): boolean {
    return this.#stopped.size > 0 && others().some(({ pid, state }) => this.#stopped.has(pid) && /[RSD]/.test(state));
  }
}

const others = (): ProcessEntry[] =>
  readProcessTable().filter(({ pid, state }) => pid !== 1 && pid !== process.pid && state !== "Z");
