/**
 * What a worker may do without a beat, as shares of its lease, counted from when its last beat was sent. Coordinators count
 * a whole lease from when they saw that beat, hence later: whatever ends here has ended before they take a session back.
 * With the default of 9 s: nothing starts after 6 s, all stands still at 7 s, and is removed after 10 min.
 */
export const leaseTimes = (leaseMs: number) => ({
  startsForMs: (leaseMs * 6) / 9,
  /** Containers are frozen a little before their agents would stop what runs in them: what is stopped freezes badly. */
  unfrozenForMs: (leaseMs * 6.5) / 9,
  runsForMs: (leaseMs * 7) / 9,
  keptForMs: (leaseMs * 600) / 9,
  /** A main loop that does not turn for this long will not turn again. */
  stalledMs: (leaseMs * 30) / 9,
  /** An answer to a beat that takes longer is not waited for: the connection may be half open. */
  answerMs: leaseMs / 6,
  /** How often it is looked at how much of the lease is left. */
  lookEveryMs: leaseMs / 36,
});
