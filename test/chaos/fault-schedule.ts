import { setTimeout as sleep } from "node:timers/promises";
import type { SessionId } from "../../shared/ids.ts";
import { FAULT_KINDS, type FaultKind, type Scene } from "./fault-kinds.ts";
import type { Fault, FaultLog } from "./fault-log.ts";
import type { SessionLedger } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { ChaosWorld } from "./world.ts";

/** Faults are made while at least this many calls run. */
const BUSY = 20;
const BUSY_WAIT_MS = 15_000;
/** How long the sessions may take to get over a fault before the next one comes anyway. */
const RECOVERY_MS = 30_000;
const PAUSE_MS = { alone: 300, big: 300, small: 2_500 } as const;
const POLL_MS = 50;
/** All clients begin at once: their first calls are slow without any fault. */
const WARM_MS = 5_000;

/** Breaks things in the order that the seed gives, big ones after each other and small ones beside them. */
export class FaultSchedule {
  readonly skipped: Record<string, string> = {};
  readonly #kinds: FaultKind[];
  /** Whoever waits until nothing else is broken keeps the small ones from starting. */
  #isAlone = false;
  #smallOnes = 0;

  constructor(
    private readonly deps: {
      world: ChaosWorld;
      log: FaultLog;
      ledgers: readonly SessionLedger[];
      random: Random;
      say: (text: string) => void;
      /** Whether a kind is to be made (again). */
      wants: (kind: string) => boolean;
    },
  ) {
    this.#kinds = FAULT_KINDS.filter((kind) => {
      const problem = kind.problem?.(deps.world);
      if (problem !== undefined) this.skipped[kind.name] = problem;
      return problem === undefined;
    });
  }

  /** Whether every kind was made `least` times. */
  hasMade(least: number): boolean {
    const { counts } = this.deps.log;
    return this.#kinds.every(({ name }) => (counts[name] ?? 0) >= least);
  }

  /** Resolves when `until` aborted and no cause lasts any more. */
  async run(until: AbortSignal): Promise<void> {
    const { random } = this.deps;
    await sleep(WARM_MS, undefined, { signal: until }).catch(() => {}); // rejects only when stopped
    const big = this.#kinds.filter(({ size }) => size !== "small");
    const small = this.#kinds.filter(({ size }) => size === "small");
    await Promise.all([this.#track(big, random.fork(), until), this.#track(small, random.fork(), until)]);
  }

  async #track(kinds: FaultKind[], random: Random, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      for (const kind of random.shuffled(kinds)) {
        if (!this.deps.wants(kind.name)) continue;
        if (kind.size === "small") await this.#waitFor(() => !this.#isAlone, Number.POSITIVE_INFINITY, until);
        if (kind.size === "alone") await this.#becomeAlone(until);
        await this.#waitFor(() => this.#running() >= BUSY, BUSY_WAIT_MS, until);
        if (until.aborted) return;
        await this.#make(kind, random);
        this.#isAlone &&= kind.size !== "alone";
        await sleep(PAUSE_MS[kind.size]);
      }
      await sleep(POLL_MS);
    }
  }

  async #becomeAlone(until: AbortSignal): Promise<void> {
    this.#isAlone = true;
    const { log } = this.deps;
    await this.#waitFor(
      () => this.#smallOnes === 0 && log.faults.every((fault) => log.isOver(fault)),
      RECOVERY_MS,
      until,
    );
  }

  async #make(kind: FaultKind, random: Random): Promise<void> {
    const { world, log, ledgers, say } = this.deps;
    let fault: Fault | undefined;
    const note = (what: string, sessions?: Iterable<SessionId>): Fault => {
      const running = this.#running();
      say(`${kind.name}: ${what} (${running} calls run)`);
      fault = { kind: kind.name, what, at: performance.now(), sessions: sessions && new Set(sessions), running };
      log.faults.push(fault);
      return fault;
    };
    const scene: Scene = { world, ledgers, random, note };
    if (kind.size === "small") this.#smallOnes++;
    try {
      await kind.make(scene);
    } catch (error) {
      say(`${kind.name} could not be made whole: ${(error as Error).message}`);
    } finally {
      if (kind.size === "small") this.#smallOnes--;
    }
    if (!fault) return;
    fault.endedAt = performance.now();
    if (kind.size === "small") return;
    await this.#waitFor(() => log.isOver(fault!), kind.size === "alone" ? RECOVERY_MS : RECOVERY_MS / 4);
  }

  #running(): number {
    return this.deps.ledgers.filter(({ running }) => running).length;
  }

  async #waitFor(isSo: () => boolean, timeoutMs: number, until?: AbortSignal): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!isSo() && performance.now() < end && !until?.aborted) await sleep(POLL_MS);
  }
}
