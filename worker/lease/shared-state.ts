import { monotonicMs } from "../../shared/monotonic.ts";

const PER_ONE = 1_000_000;
const TICKS = 0;
const LOAD = 1;
const IS_AVAILABLE = 2;
const INTS = 4;

/** What the main loop and the beat's thread tell each other without a message, so that neither waits for the other. */
export class SharedState {
  readonly #ints: Int32Array;
  readonly #beatAtUs: BigInt64Array;

  constructor(readonly buffer = new SharedArrayBuffer(INTS * 4 + 8)) {
    this.#ints = new Int32Array(buffer, 0, INTS);
    this.#beatAtUs = new BigInt64Array(buffer, INTS * 4, 1);
  }

  /** The main loop turns. */
  tick(): void {
    Atomics.add(this.#ints, TICKS, 1);
  }

  get ticks(): number {
    return Atomics.load(this.#ints, TICKS);
  }

  /** Share of the slots in use, 0 to 1. */
  get load(): number {
    return Atomics.load(this.#ints, LOAD) / PER_ONE;
  }

  set load(load: number) {
    Atomics.store(this.#ints, LOAD, Math.round(load * PER_ONE));
  }

  /** Sandboxes can be made. */
  get isAvailable(): boolean {
    return Atomics.load(this.#ints, IS_AVAILABLE) === 1;
  }

  set isAvailable(isAvailable: boolean) {
    Atomics.store(this.#ints, IS_AVAILABLE, isAvailable ? 1 : 0);
  }

  /** When the last beat that Redis has was sent, on the clock of `monotonicMs`; long ago when there was none. */
  get beatAtMs(): number {
    const us = Atomics.load(this.#beatAtUs, 0);
    return us === 0n ? Number.NEGATIVE_INFINITY : Number(us) / 1_000;
  }

  set beatAtMs(ms: number) {
    Atomics.store(this.#beatAtUs, 0, BigInt(Math.round(ms * 1_000)));
  }

  get sinceBeatMs(): number {
    return monotonicMs() - this.beatAtMs;
  }
}
