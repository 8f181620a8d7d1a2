import type { Logger } from "pino";

const EVERY_MS = 60_000;
const LINES_MAX = 100;

/** Says each refusal once a minute, and so many at most: user code asks as often as it likes, and chooses the names. */
export class RefusalLog {
  readonly #said = new Set<string>();
  #unsaid = 0;
  #since = performance.now();

  constructor(private readonly log: Logger) {}

  note(principal: string | undefined, name: string, port: number, verdict: string): void {
    this.#turn();
    const key = `${principal}\0${name}\0${port}`;
    if (this.#said.has(key) || this.#said.size === LINES_MAX) {
      this.#unsaid++;
      return;
    }
    this.#said.add(key);
    this.log.info({ principal, name, port, verdict }, "egress was refused");
  }

  #turn(): void {
    if (performance.now() - this.#since < EVERY_MS) return;
    if (this.#unsaid > 0) this.log.info({ refusals: this.#unsaid }, "egress was refused as often again");
    this.#said.clear();
    this.#unsaid = 0;
    this.#since = performance.now();
  }
}
