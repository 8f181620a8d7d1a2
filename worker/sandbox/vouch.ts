/** How far a worker's right to a session reaches, as it knows now; on the clock of `monotonicMs`. */
export interface Vouch {
  /** Until then new work may start. */
  startsUntilMs: number;
  /** Until then what runs may go on. */
  runsUntilMs: number;
}

/** For sandboxes that are nobody's session yet. */
export const VOUCHED_FOR_EVER: Vouch = {
  startsUntilMs: Number.POSITIVE_INFINITY,
  runsUntilMs: Number.POSITIVE_INFINITY,
};
