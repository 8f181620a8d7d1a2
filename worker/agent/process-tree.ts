import { killUntilGone, signalAll, waitUntilGone } from "./kill-tree.ts";
import { bearsMarker, descendantsOf, type ProcessEntry, readProcessTable } from "./process-table.ts";
import type { Runner } from "./runner.ts";

const TERM_GRACE_MS = 500;
const PID_1 = 1;

/** Everything that one runner's command started and that lives, however it tried to leave. */
export class ProcessTree {
  #isHurried = false;
  #termination: Promise<void> | undefined;

  constructor(
    /** `NAME=value` that the command found in its environment. */
    private readonly marker: string,
    private readonly runner: Runner,
  ) {}

  /** Pids, the command's own among them. */
  find(): number[] {
    return this.#findIn(readProcessTable());
  }

  /** Those that began at that time or later, in hundredths of a second since the machine did. */
  findSince(startedAt: number): number[] {
    const table = readProcessTable();
    const young = new Set(table.filter((entry) => entry.startedAt >= startedAt).map(({ pid }) => pid));
    return this.#findIn(table).filter((pid) => young.has(pid));
  }

  #findIn(table: ProcessEntry[]): number[] {
    // With a live runner nothing can get out from under it. Without, PID 1 inherits; what else PID 1 has is the agent, and
    // runners whose server was killed.
    const roots = this.runner.isGone ? [] : [this.runner.pid];
    const found = new Set(descendantsOf(roots, table));
    if (this.runner.isGone && process.env.CODEGEN_SUPERVISED === "1" && process.ppid === PID_1) {
      const orphans = table.filter(
        ({ pid, parent, state }) =>
          parent === PID_1 && pid !== process.pid && state !== "Z" && !this.runner.living.has(pid),
      );
      for (const { pid } of orphans) found.add(pid);
      for (const pid of descendantsOf([...found], table)) found.add(pid);
    }
    for (const { pid, state } of table) {
      if (state !== "Z" && !found.has(pid) && bearsMarker(pid, this.marker)) found.add(pid);
    }
    return [...found];
  }

  /** The termination that goes on, if one does. */
  get termination(): Promise<void> | undefined {
    return this.#termination;
  }

  /** TERM, 500 ms of grace, then KILL until nothing is left. One at most; a second request can only take the grace away. */
  terminate(isHurried: boolean): Promise<void> {
    this.#isHurried ||= isHurried;
    this.#termination ??= this.#run();
    return this.#termination;
  }

  async #run(): Promise<void> {
    const find = () => this.find();
    if (!this.#isHurried) {
      const pids = find();
      signalAll(pids, "SIGTERM");
      signalAll(pids, "SIGCONT"); // a stopped process would not see it
      await waitUntilGone(find, TERM_GRACE_MS, () => this.#isHurried);
    }
    await killUntilGone(find);
    this.#termination = undefined; // what a left-behind process starts later can be killed again
  }
}
