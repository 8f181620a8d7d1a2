import type { Verdict } from "../../bench/bars.ts";
import { FAULT_KINDS } from "./fault-kinds.ts";
import type { Figures } from "./figures.ts";

/** From this length on a run is held to the whole of what is promised; a shorter one to the zeros and each kind of fault. */
const WHOLE_S = 180;

/** How often a run of that length makes each kind of fault. */
export const fewestOfAKind = (seconds: number): number => (seconds >= WHOLE_S ? 2 : 1);

/**
 * A run that plants a bug, or makes no faults, is held to the zeros only.
 * @param seconds as asked for: a slow machine works longer, and owes no more for it
 */
export const judge = (figures: Figures, withFaults: boolean, seconds: number): Verdict[] => {
  const zero = (name: keyof Figures, text: string): Verdict => ({
    text: `no ${text}`,
    measured: String(figures[name]),
    isMet: figures[name] === 0,
  });
  const zeros = [
    zero("delivered_more_than_once", "result delivered more than once"),
    zero("effects_more_than_once", "effect found more than once"),
    zero("acknowledged_effects_missing", "acknowledged effect missing"),
    zero("late_writes", "end that changed after it was told"),
    zero("wrong_session_deliveries", "delivery to a wrong session"),
    zero("sessions_lost", "session lost"),
    zero("orphans", "orphan left"),
  ];
  if (!withFaults) return zeros;
  const isWhole = seconds >= WHOLE_S;
  const least = fewestOfAKind(seconds);
  const rare = FAULT_KINDS.filter(
    ({ name }) => !(name in figures.skipped_faults) && (figures.faults[name] ?? 0) < least,
  );
  const kinds: Verdict = {
    text: `every kind of fault at least ${isWhole ? "twice" : "once"}`,
    measured: rare.length === 0 ? "yes" : `not ${rare.map(({ name }) => name).join(", ")}`,
    isMet: rare.length === 0,
  };
  const unexplained: Verdict = {
    text: "every OUTCOME_UNKNOWN has its fault",
    measured: String(figures.outcome_unknown_by_fault["no fault"] ?? 0),
    isMet: figures.outcome_unknown_by_fault["no fault"] === undefined,
  };
  if (!isWhole) return [...zeros, kinds, unexplained];
  const atMost = (name: keyof Figures, limit: number, text: string): Verdict => ({
    text: `${text} ≤ ${limit} s`,
    measured: `${figures[name]} s`,
    isMet: Number(figures[name]) <= limit,
  });
  return [
    ...zeros,
    kinds,
    unexplained,
    { text: "acknowledged ≥ 2,000", measured: String(figures.acknowledged), isMet: figures.acknowledged >= 2_000 },
    {
      text: "calls running at each fault ≥ 20",
      measured: String(figures.fewest_calls_running_at_a_fault),
      isMet: figures.fewest_calls_running_at_a_fault >= 20,
    },
    atMost("seconds_to_tell_worker_lost", 12, "worker's death told to all who wait"),
    atMost("seconds_to_usable_elsewhere", 15, "usable elsewhere, p95"),
    atMost("seconds_to_usable_elsewhere_max", 25, "usable elsewhere, longest"),
    atMost("seconds_coordinator_lost", 2, "cost of a coordinator's death"),
  ];
};
