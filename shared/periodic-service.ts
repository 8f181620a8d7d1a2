import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Service } from "./service.ts";

/** Runs `pass` again and again, one at a time. A pass that fails is logged and repeated; it never ends the loop. */
export abstract class PeriodicService implements Service {
  #abort: AbortController | undefined;
  #loop = Promise.resolve();

  constructor(
    private readonly name: string,
    private readonly everyMs: number,
    protected readonly log: Logger,
  ) {}

  protected abstract pass(signal: AbortSignal): Promise<void>;

  start(): void {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.#loop = this.#run(this.#abort.signal, this.#loop);
  }

  async stop(): Promise<void> {
    const abort = this.#abort;
    this.#abort = undefined;
    abort?.abort();
    await this.#loop;
  }

  async #run(signal: AbortSignal, before: Promise<void>): Promise<void> {
    await before;
    while (!signal.aborted) {
      await this.pass(signal).catch((err: unknown) => {
        if (!signal.aborted) this.log.warn({ err, service: this.name }, "a pass failed; it is repeated");
      });
      await sleep(this.everyMs, undefined, { signal, ref: false }).catch(() => {}); // rejects only when stopped
    }
  }
}
