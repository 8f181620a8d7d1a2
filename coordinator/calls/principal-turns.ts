/** Requests that begin in one turn of the event loop; the others wait for the next. */
const PER_TURN = 4;

/**
 * Lets requests begin, principals in turn, few in each turn of the event loop. A thousand requests that one principal sends
 * at once are seconds of cpu, and another's first would stand behind all of them. Who comes alone begins at once. Nobody has
 * read what waits, so that it costs little; there is a bound to it all the same.
 */
export class PrincipalTurns {
  /** Those who wait, whose turn it is first. */
  readonly #lines = new Map<string, (() => void)[]>();
  #begun = 0;
  #isTurning = false;

  /** @param limit of one principal's requests that wait for their turn */
  constructor(private readonly limit: number) {}

  /** Calls `work` now or soon; it must not throw. @returns false when too many of the principal's wait already */
  begin(principal: string, work: () => void): boolean {
    if (this.#begun < PER_TURN && this.#lines.size === 0) {
      this.#begun++;
      work();
    } else {
      const line = this.#lines.get(principal);
      if (line && line.length >= this.limit) return false;
      if (line) line.push(work);
      else this.#lines.set(principal, [work]);
    }
    this.#turnSoon();
    return true;
  }

  #turnSoon(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isTurning = false;
    for (this.#begun = 0; this.#begun < PER_TURN; this.#begun++) {
      const next = this.#lines.entries().next().value;
      if (!next) return;
      const [principal, line] = next;
      this.#lines.delete(principal);
      const work = line.shift();
      if (line.length > 0) this.#lines.set(principal, line);
      work?.();
    }
    this.#turnSoon();
  }
}
