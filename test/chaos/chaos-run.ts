import { setTimeout as sleep } from "node:timers/promises";
import { round } from "../../bench/sampling.ts";
import { inParallel } from "../support/in-parallel.ts";
import { AgentConnection } from "./agent-connection.ts";
import { fewestOfAKind } from "./bars.ts";
import { compareEffects, readEffects } from "./effects.ts";
import { FaultLog } from "./fault-log.ts";
import { FaultSchedule } from "./fault-schedule.ts";
import { countCalls, type Figures, measureFaults } from "./figures.ts";
import { SessionLedger } from "./ledger.ts";
import { leftovers, unsweptContainers } from "./leftovers.ts";
import type { Plant } from "./plants.ts";
import { Random } from "./random.ts";
import { replay } from "./replays.ts";
import { ScriptedSession } from "./scripted-session.ts";
import type { ChaosWorld } from "./world.ts";

export interface ChaosOptions {
  seed: number;
  seconds: number;
  sessions: number;
  withFaults: boolean;
  /** Bugs to plant, none in a run that counts. */
  plants: readonly Plant[];
  say: (text: string) => void;
  signal: AbortSignal;
}

export interface ChaosResult {
  figures: Figures;
  /** What stands behind every figure that should be 0. */
  findings: Record<string, string[]>;
}

/** Sessions that are opened, looked at, replayed at a time. */
const AT_A_TIME = 8;

/** What a slow machine gets to make every kind of fault often enough. */
const OVERTIME_S = 300;
const POLL_MS = 100;

/** One run from an empty machine to an empty machine: work under faults, then everything is held against the ledgers. */
export class ChaosRun {
  readonly #random: Random;
  readonly #ledgers: SessionLedger[] = [];
  readonly #log = new FaultLog(this.#ledgers);
  #sessions: ScriptedSession[] = [];
  #skipped: Record<string, string> = {};
  #workedS = 0;

  constructor(
    private readonly world: ChaosWorld,
    private readonly options: ChaosOptions,
  ) {
    this.#random = new Random(options.seed);
  }

  async run(): Promise<ChaosResult> {
    const { say, withFaults } = this.options;
    const offered = await this.#offeredDurability();
    say(
      `${this.options.sessions} sessions, ${offered ? "half of them durability: call" : "durability is not offered"}`,
    );
    await this.#open(offered);
    say(`${this.options.seconds} s of work${withFaults ? " under faults" : ""}`);
    await this.#work();
    say("every session is asked for a sign of life");
    await this.#each(async (session) => void (await session.look()));
    await this.#plant("worked");
    const findings = await this.#check();
    say("closing everything");
    await this.#each((session) => session.close());
    const unswept = await unsweptContainers(this.world);
    await this.world.stopProcesses();
    await this.#plant("stopped");
    findings.orphans = [...unswept, ...(await leftovers(this.world))];
    return { figures: this.#figures(findings), findings };
  }

  async #offeredDurability(): Promise<boolean> {
    const probe = new AgentConnection(this.world.url, "2026");
    const schema = await probe.schemaOf("create_session");
    probe.close();
    return "durability" in schema;
  }

  async #open(offersDurability: boolean): Promise<void> {
    for (let i = 0; i < this.options.sessions; i++) {
      // Both eras in both durabilities.
      const durability = offersDurability ? (i % 2 === 0 ? "call" : "idle") : undefined;
      const ledger = new SessionLedger(`s${i}x${this.options.seed}`, durability, i % 4 < 2 ? "2026" : "2025");
      this.#ledgers.push(ledger);
      const { signal, withFaults } = this.options;
      this.#sessions.push(new ScriptedSession(this.world.url, ledger, this.#random.fork(), signal, withFaults));
    }
    await this.#each((session) => session.open());
  }

  async #work(): Promise<void> {
    const { seconds, signal, say, withFaults } = this.options;
    const [faultsOver, workOver] = [new AbortController(), new AbortController()];
    const startedAt = performance.now();
    const isTime = (afterS: number): boolean =>
      performance.now() - startedAt >= afterS * 1_000 || signal.aborted || workOver.signal.aborted;
    const least = fewestOfAKind(seconds);
    const schedule = new FaultSchedule({
      world: this.world,
      log: this.#log,
      ledgers: this.#ledgers,
      random: this.#random.fork(),
      say,
      wants: (kind) => !isTime(seconds) || (this.#log.counts[kind] ?? 0) < least,
    });
    this.#skipped = schedule.skipped;
    const work = Promise.all(this.#sessions.map((session) => session.work(workOver.signal)));
    work.catch(() => workOver.abort()); // the run has failed; `await work` says how
    const faults = withFaults ? schedule.run(faultsOver.signal) : Promise.resolve();
    const isComplete = (): boolean => !withFaults || schedule.hasMade(least);
    while (!isTime(seconds + OVERTIME_S) && !(isTime(seconds) && isComplete())) await sleep(POLL_MS);
    faultsOver.abort();
    await faults; // sessions work until they have got over the last one
    workOver.abort();
    this.#workedS = (performance.now() - startedAt) / 1_000;
    await work;
    signal.throwIfAborted();
  }

  async #plant(when: Plant["when"]): Promise<void> {
    for (const plant of this.options.plants.filter((each) => each.when === when)) {
      this.options.say(`planted: ${await plant.make(this.world, this.#sessions)}`);
    }
  }

  async #check(): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {
      delivered: [],
      late: [],
      twice: [],
      missing: [],
      foreign: [],
      unread: [],
    };
    const add = (findings: Record<string, string[]>): void => {
      for (const [name, entries] of Object.entries(findings)) found[name]?.push(...entries);
    };
    this.options.say("asking again for what was told");
    await this.#each(async (session) => add({ ...(await replay(session)) }));
    this.options.say("reading every effect from outside");
    await this.#each(async ({ ledger, agent }) => {
      const container = await this.world.containerOf(ledger.id);
      if (container) add({ ...compareEffects(ledger, await readEffects(container)) });
      else add({ unread: [`${ledger.token} has no container`] });
      add({ foreign: ledger.wrongDeliveries });
      const { repeatedAnswers } = agent.connection;
      if (repeatedAnswers > 0) add({ delivered: [`${ledger.token} was answered again ${repeatedAnswers} times`] });
    });
    return found;
  }

  async #each(act: (session: ScriptedSession) => Promise<void>): Promise<void> {
    const alive = this.#sessions.filter(({ ledger }) => ledger.goneWith === undefined);
    await inParallel(alive, AT_A_TIME, act);
    this.options.signal.throwIfAborted();
  }

  #figures(findings: Record<string, string[]>): Figures {
    const count = (name: string): number => findings[name]?.length ?? 0;
    const calls = countCalls(this.#ledgers, this.#log);
    return {
      seed: this.options.seed,
      seconds: Math.round(this.#workedS),
      sessions: this.options.sessions,
      ...calls,
      calls_per_second: round(calls.acknowledged / this.#workedS),
      faults: this.#log.counts,
      skipped_faults: this.#skipped,
      delivered_more_than_once: count("delivered"),
      effects_more_than_once: count("twice"),
      acknowledged_effects_missing: count("missing"),
      late_writes: count("late"),
      wrong_session_deliveries: count("foreign"),
      sessions_lost: calls.sessions_lost + count("unread"),
      orphans: count("orphans"),
      ...measureFaults(this.#log),
    };
  }
}
