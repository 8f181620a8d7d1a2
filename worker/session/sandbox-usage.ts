import { answerInTime } from "../../shared/metrics/answer-in-time.ts";
import type { Sandbox, Usage } from "../sandbox/sandbox.ts";

/** The kernel lets a container exceed its share of the cores by a little, for a moment. */
const SLACK_CORES = 1.5;

type Used = Usage & { atMs: number };

export interface UsageSum {
  memoryBytes: number;
  memoryLimitBytes: number;
  /** Used since the look before. */
  cpuSeconds: number;
}

/**
 * What all sessions' containers use together, asked of their agents when somebody looks; one
 * that is frozen or busy counts with what it said last. No container is told from
 * another: a label for each would grow without bound. An agent is not trusted: no answer adds more than its container
 * can have used.
 */
export class SandboxUsage {
  readonly #last = new WeakMap<Sandbox, Used>();
  /** Asked, and silent so far: a container that stands frozen is not asked again and again. */
  readonly #asked = new WeakSet<Sandbox>();
  #looking: Promise<UsageSum> | undefined;

  constructor(private readonly containers: () => Iterable<Sandbox>) {}

  /** The metrics of one scrape share one look. */
  async look(): Promise<UsageSum> {
    this.#looking ??= this.#look().finally(() => setImmediate(() => (this.#looking = undefined)));
    return await this.#looking;
  }

  async #look(): Promise<UsageSum> {
    const sum: UsageSum = { memoryBytes: 0, memoryLimitBytes: 0, cpuSeconds: 0 };
    await Promise.all(
      [...this.containers()].map(async (sandbox) => {
        const used = this.#asked.has(sandbox) ? undefined : await answerInTime(this.#ask(sandbox));
        const before = this.#last.get(sandbox);
        const limit = sandbox.granted.memoryBytes;
        sum.memoryLimitBytes += limit;
        sum.memoryBytes += Math.min((used ?? before)?.memoryBytes ?? 0, limit);
        if (!used) return;
        const now = { ...used, atMs: performance.now() };
        this.#last.set(sandbox, now);
        // Another worker has counted what a container that was taken over used before.
        const since = before ?? (sandbox.madeAtMs === undefined ? now : { cpuSeconds: 0, atMs: sandbox.madeAtMs });
        sum.cpuSeconds += cpuBetween(since, now, sandbox.granted.cpus);
      }),
    );
    return sum;
  }

  async #ask(sandbox: Sandbox): Promise<Usage> {
    this.#asked.add(sandbox);
    return await sandbox.usage().finally(() => this.#asked.delete(sandbox));
  }
}

const cpuBetween = (before: Omit<Used, "memoryBytes">, now: Used, cpus: number): number => {
  const most = (SLACK_CORES * cpus * (now.atMs - before.atMs)) / 1000;
  return Math.min(Math.max(0, now.cpuSeconds - before.cpuSeconds), most);
};
