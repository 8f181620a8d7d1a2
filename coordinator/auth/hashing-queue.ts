import { availableParallelism } from "node:os";

/** Hashing takes a whole core: wrong tokens must leave the others to calls. */
const AT_ONCE = availableParallelism() >= 4 ? 2 : 1;
const MAX_WAITING = 256;
/** Requests that bring the same token are one. More different ones of an id at a time are a guess. */
const MAX_WAITING_OF_ONE = 4;

/**
 * Costly work that anybody may ask for: little at once, the rest waits, ids in turn, so that whoever knows the id of a
 * token and guesses secrets delays nobody else.
 */
export class HashingQueue {
  readonly #waiting = new Map<string, (() => void)[]>();
  #waits = 0;
  #runs = 0;

  /** @returns undefined when too many wait already */
  async run<T>(id: string, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#runs >= AT_ONCE) {
      const line = this.#waiting.get(id) ?? [];
      if (this.#waits >= MAX_WAITING || line.length >= MAX_WAITING_OF_ONE) return undefined;
      this.#waits++;
      this.#waiting.set(id, line);
      await new Promise<void>((resolve) => line.push(resolve)); // it then has the place of the one that ended
    } else {
      this.#runs++;
    }
    try {
      return await work();
    } finally {
      if (!this.#passOn()) this.#runs--;
    }
  }

  #passOn(): boolean {
    for (const [id, line] of this.#waiting) {
      this.#waiting.delete(id);
      const next = line.shift();
      if (line.length > 0) this.#waiting.set(id, line); // behind the others
      if (!next) continue;
      this.#waits--;
      next();
      return true;
    }
    return false;
  }
}
