import { type Row, round } from "./sampling.ts";

/** What a run must reach. Ratios within one run, because single times say more about the machine. */
interface Bar {
  text: string;
  /** Rows that it is made of. */
  rows: string[];
  limit: number;
  unit: string;
  measure(row: (name: string) => Row): number;
}

export interface Verdict {
  text: string;
  measured: string;
  isMet: boolean;
}

const ratio = (above: string, below: string, limit: number): Bar => ({
  text: `${above} p50 ≤ ${limit} × ${below} p50`,
  rows: [above, below],
  limit,
  unit: "×",
  measure: (row) => (row(above).p50_ms ?? Number.NaN) / (row(below).p50_ms ?? Number.NaN),
});

const atMost = (name: string, limit: number, unit: string): Bar => ({
  text: `${name} ≤ ${limit} ${unit}`,
  rows: [name],
  limit,
  unit,
  measure: (row) => row(name).value ?? Number.NaN,
});

const p50AtMost = (name: string, limit: number): Bar => ({
  text: `${name} p50 ≤ ${limit} ms`,
  rows: [name],
  limit,
  unit: "ms",
  measure: (row) => row(name).p50_ms ?? Number.NaN,
});

const BARS: Bar[] = [
  ratio("run_command_true", "docker_exec_true", 0.15),
  p50AtMost("run_code_python_first", 150),
  p50AtMost("run_code_python", 10),
  ratio("create_session_warm", "container_create_start", 0.25),
  atMost("parallel_sleep_8", 800, "ms"),
  atMost("idle_session_memory", 15, "MB"),
  atMost("coordinator_memory_10k", 200, "MB"),
  atMost("session_balance", 26, "sessions"),
  {
    text: "create_session_crowded p50 ≤ 2 × create_session_alone p50 + 1,000 ms: what is above the former",
    rows: ["create_session_alone", "create_session_crowded"],
    limit: 1_000,
    unit: "ms",
    measure: (row) =>
      (row("create_session_crowded").p50_ms ?? Number.NaN) - 2 * (row("create_session_alone").p50_ms ?? Number.NaN),
  },
  p50AtMost("durability_call_extra", 40),
  p50AtMost("durability_call_extra_100mb", 120),
];

/** The bars of which all rows were measured. */
export const judge = (rows: Row[]): Verdict[] => {
  const found = new Map(rows.map((row) => [row.name, row]));
  return BARS.filter((bar) => bar.rows.every((name) => found.has(name))).map(({ text, limit, unit, measure }) => {
    const value = measure((name) => found.get(name)!);
    return { text, measured: `${round(value)} ${unit}`, isMet: value <= limit };
  });
};
