/** One line of the table. Times in ms; a row that is no time has `value` and `unit` instead. */
export interface Row {
  name: string;
  p50_ms: number | null;
  p95_ms: number | null;
  per_second?: number;
  value?: number;
  unit?: string;
}

/** Something to measure again and again. */
export interface Probe {
  name: string;
  /** What is timed. */
  sample(): Promise<unknown>;
  /** Brings back what the sample used up. After each one, not timed. */
  restore?(): Promise<unknown>;
}

export interface Rounds {
  rounds: number;
  /** Samples of one probe before the next has its turn. */
  perRound: number;
  /** Samples of each probe before the first round, not counted. */
  warmUp: number;
}

/**
 * Measures probes in turns, so that whatever else the machine does hits all of them alike and their ratios hold where
 * single numbers would not.
 */
export const sampleInTurns = async (
  probes: Probe[],
  { rounds, perRound, warmUp }: Rounds,
  signal: AbortSignal,
): Promise<Row[]> => {
  for (const probe of probes) await sample(probe, warmUp, signal);
  const times = probes.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, probe] of probes.entries()) times[i]?.push(...(await sample(probe, perRound, signal)));
  }
  return probes.map(({ name }, i) => timesRow(name, times[i] ?? []));
};

const sample = async (probe: Probe, count: number, signal: AbortSignal): Promise<number[]> => {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    signal.throwIfAborted();
    times.push(await timed(() => probe.sample()));
    await probe.restore?.();
  }
  return times;
};

/** @returns ms */
export const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
};

export const timesRow = (name: string, times: number[]): Row => ({
  name,
  p50_ms: round(percentile(times, 0.5)),
  p95_ms: round(percentile(times, 0.95)),
});

export const valueRow = (name: string, value: number, unit: string): Row => ({
  name,
  p50_ms: null,
  p95_ms: null,
  value: round(value),
  unit,
});

/** The smallest of `values` that at least `share` of them do not exceed. */
export const percentile = (values: number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
};

export const round = (value: number): number => Math.round(value * 100) / 100;
