/** As far as a timer asks for it. */
interface Vouched {
  readonly isVouched: boolean;
  vouched(): Promise<void>;
}

/** A timeout for what a sandbox should do: while nobody vouches for it, it is frozen and cannot be late. */
export class VouchedTimer {
  #timer: NodeJS.Timeout;
  #isCleared = false;

  constructor(
    private readonly sandbox: Vouched,
    private readonly timeoutMs: number,
    private readonly onPassed: () => void,
  ) {
    this.#timer = this.#arm();
  }

  clear(): void {
    this.#isCleared = true;
    clearTimeout(this.#timer);
  }

  #arm(): NodeJS.Timeout {
    return setTimeout(() => void this.#onDue(), this.timeoutMs);
  }

  async #onDue(): Promise<void> {
    if (this.sandbox.isVouched) return this.onPassed();
    await this.sandbox.vouched().catch(() => {}); // given up: whoever waits was told
    if (!this.#isCleared) this.#timer = this.#arm(); // from the beginning: it has just been thawed
  }
}
