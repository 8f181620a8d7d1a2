import { percentile, round } from "../../bench/sampling.ts";
import type { Fault, FaultLog } from "./fault-log.ts";
import type { Effect, SessionLedger } from "./ledger.ts";

/** What `--json` writes. Times in s. */
export interface Figures {
  seed: number;
  seconds: number;
  sessions: number;
  acknowledged: number;
  calls_per_second: number;
  faults: Record<string, number>;
  skipped_faults: Record<string, string>;
  fewest_calls_running_at_a_fault: number;
  delivered_more_than_once: number;
  effects_more_than_once: number;
  acknowledged_effects_missing: number;
  late_writes: number;
  outcome_unknown: number;
  outcome_unknown_by_fault: Record<string, number>;
  session_resets: number;
  /** Neither done nor unknown, by what was told: killed with its agent, say. */
  other_ends: Record<string, number>;
  told_not_durable: number;
  sessions_lost: number;
  wrong_session_deliveries: number;
  orphans: number;
  /** Longest, from SIGKILL until the last client that waited was told. */
  seconds_to_tell_worker_lost: number;
  /** 95th percentile, from SIGKILL to a session's first command that ended well. */
  seconds_to_usable_elsewhere: number;
  seconds_to_usable_elsewhere_max: number;
  /** Longest, what a call took beyond its own running time when its coordinator was killed. */
  seconds_coordinator_lost: number;
  /** Longest until a session worked again, by kind of fault. */
  seconds_to_recover: Record<string, number>;
}

/** How soon after a coordinator's death its clients see it. */
const NOTICED_MS = 2_000;
/** A call that ran for longer when the coordinator died was late already, for another reason. */
const USUAL_MS = 4_000;

const inS = (ms: number): number => round(ms / 1000);
const most = (values: number[]): number => (values.length === 0 ? 0 : Math.max(...values));

/** Counts by kind. */
export const tally = (names: string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};

/** What the faults cost, as the clients saw it. */
export const measureFaults = (log: FaultLog) => {
  const told = log.of("worker_sigkill").flatMap((fault) =>
    callsAt(log, fault)
      .filter(({ toldAt }) => toldAt !== undefined)
      .map(({ toldAt }) => toldAt! - fault.at),
  );
  const usable = log
    .of("worker_sigkill")
    .flatMap((fault) => log.recoveries(fault).map((ms) => ms ?? Number.POSITIVE_INFINITY));
  const coordinator = log.of("coordinator_sigkill").flatMap((fault) =>
    callsAt(log, fault)
      .filter(({ brokenAt }) => brokenAt !== undefined && brokenAt >= fault.at && brokenAt < fault.at + NOTICED_MS)
      .filter(({ startedAt }) => fault.at - startedAt < USUAL_MS)
      .map(({ startedAt, endedAt, ranMs }) => (endedAt ?? Number.POSITIVE_INFINITY) - startedAt - ranMs),
  );
  return {
    seconds_to_tell_worker_lost: inS(most(told)),
    seconds_to_usable_elsewhere: usable.length === 0 ? 0 : inS(percentile(usable, 0.95)),
    seconds_to_usable_elsewhere_max: inS(most(usable)),
    seconds_coordinator_lost: inS(most(coordinator)),
    seconds_to_recover: Object.fromEntries(
      Object.entries(log.longestRecoveries()).map(([kind, s]) => [kind, round(s)]),
    ),
    fewest_calls_running_at_a_fault:
      log.faults.length === 0 ? 0 : Math.min(...log.faults.map(({ running }) => running)),
  };
};

/** The calls that ran in the hurt sessions when the fault came. */
const callsAt = (log: FaultLog, fault: Fault): Effect[] =>
  log
    .hurt(fault)
    .flatMap(({ effects }) =>
      effects.filter(
        ({ startedAt, endedAt }) => startedAt < fault.at && (endedAt ?? Number.POSITIVE_INFINITY) > fault.at,
      ),
    );

export const countCalls = (ledgers: readonly SessionLedger[], log: FaultLog) => ({
  acknowledged: ledgers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0),
  outcome_unknown: ledgers.reduce((sum, { unknown }) => sum + unknown.length, 0),
  outcome_unknown_by_fault: tally(ledgers.flatMap((ledger) => ledger.unknown.map((call) => log.causeOf(ledger, call)))),
  session_resets: ledgers.reduce((sum, { resets }) => sum + resets, 0),
  other_ends: tally(
    ledgers.flatMap(({ effects }) => effects.filter(({ end }) => end === "refused").map(({ why }) => why ?? "")),
  ),
  told_not_durable: ledgers.reduce((sum, { notDurable }) => sum + notDurable, 0),
  sessions_lost: ledgers.filter(({ goneWith }) => goneWith !== undefined).length,
});
