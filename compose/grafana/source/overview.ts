import type { Dashboard } from "./dashboard.ts";
import { stat, timeSeries } from "./panels.ts";

const UNKNOWN = "codegen:calls_outcome_unknown:ratio5m";

/** Is all well? */
export const overview: Dashboard = {
  uid: "codegen-overview",
  title: "Overview",
  about: "Is all well? What agents get, and whether there is room for more.",
  choices: [],
  rows: [
    {
      height: 4,
      panels: [
        stat({
          title: "Alerts",
          about: "Alerts that fire now. Each has a paragraph in docs/runbook.md.",
          unit: "none",
          queries: [
            { expr: 'sum(ALERTS{alertstate="firing", alertname=~"Codegen.*"}) or vector(0)', legend: "firing" },
          ],
          steps: [
            { from: 0, color: "green" },
            { from: 1, color: "red" },
          ],
        }),
        stat({
          title: "Calls",
          about: "Tool calls answered, a second.",
          unit: "reqps",
          queries: [{ expr: "sum(codegen:calls:rate5m)", legend: "calls" }],
          steps: [{ from: 0, color: "blue" }],
        }),
        stat({
          title: "Calls that failed",
          about: "Share of answers with a failure code. A command that exits with 3 is no failure.",
          unit: "percentunit",
          queries: [{ expr: "codegen:calls_failed:ratio5m", legend: "failed" }],
          steps: [
            { from: 0, color: "green" },
            { from: 0.05, color: "orange" },
            { from: 0.2, color: "red" },
          ],
        }),
        stat({
          title: "Answer, p95",
          about: "95 of 100 calls were answered within this time. A soft wait counts as an answer.",
          unit: "s",
          queries: [{ expr: "codegen:call_seconds:p95_5m", legend: "p95" }],
          steps: [{ from: 0, color: "blue" }],
        }),
        stat({
          title: "Slots in use",
          about: "Share of all workers' session slots. Above 80 %, add workers.",
          unit: "percentunit",
          queries: [{ expr: "codegen:session_slots_used:ratio", legend: "used" }],
          steps: [
            { from: 0, color: "green" },
            { from: 0.8, color: "orange" },
            { from: 0.95, color: "red" },
          ],
        }),
        stat({
          title: "Waiting for a worker",
          about: "Sessions in line. Past 45 s they end with NO_CAPACITY.",
          unit: "none",
          queries: [{ expr: "max(codegen_placement_waiting_sessions)", legend: "waiting" }],
          steps: [
            { from: 0, color: "green" },
            { from: 1, color: "orange" },
            { from: 50, color: "red" },
          ],
        }),
        stat({
          title: "Workers",
          about: "Workers that beat within their lease.",
          unit: "none",
          queries: [{ expr: "max(codegen_workers)", legend: "workers" }],
          steps: [
            { from: 0, color: "red" },
            { from: 1, color: "green" },
          ],
        }),
        stat({
          title: "Redis",
          about: "1 when every process reaches Redis.",
          unit: "none",
          queries: [{ expr: "min(codegen_redis_up)", legend: "up" }],
          steps: [
            { from: 0, color: "red" },
            { from: 1, color: "green" },
          ],
        }),
      ],
    },
    {
      title: "What agents get",
      height: 8,
      panels: [
        timeSeries({
          title: "Calls by outcome",
          about: "Answers a second: OK, or the failure's code.",
          unit: "reqps",
          stacked: true,
          queries: [{ expr: "sum by (outcome) (codegen:calls:rate5m)", legend: "{{outcome}}" }],
        }),
        timeSeries({
          title: "Time to the answer",
          about: "From a call's arrival to its answer, over all tools.",
          unit: "s",
          queries: [
            { expr: "codegen:call_seconds:p50_5m", legend: "p50" },
            { expr: "codegen:call_seconds:p95_5m", legend: "p95" },
            { expr: "codegen:call_seconds:p99_5m", legend: "p99" },
          ],
        }),
        timeSeries({
          title: "Outcomes that nobody knows",
          about: "Share of calls that had started when their session was lost. Clients see OUTCOME_UNKNOWN.",
          unit: "percentunit",
          queries: [{ expr: UNKNOWN, legend: "unknown" }],
        }),
      ],
    },
    {
      title: "Room",
      height: 8,
      panels: [
        timeSeries({
          title: "Sessions",
          about: "Sessions that workers hold, by state, below the line of all slots.",
          unit: "short",
          queries: [
            { expr: "sum by (state) (codegen_sessions)", legend: "{{state}}" },
            { expr: "sum(codegen_session_slots)", legend: "slots" },
          ],
        }),
        timeSeries({
          title: "What waits",
          about: "Calls in their sessions' lanes, and sessions in line for a worker.",
          unit: "short",
          queries: [
            { expr: 'sum(codegen_calls{state="queued"})', legend: "calls queued" },
            { expr: "max(codegen_placement_waiting_sessions)", legend: "sessions waiting" },
          ],
        }),
        timeSeries({
          title: "How long it waits",
          about: "95 of 100 calls started, and sessions were taken by a worker, within this time.",
          unit: "s",
          queries: [
            { expr: "codegen:call_queued_seconds:p95_5m", legend: "calls" },
            { expr: "codegen:placement_wait_seconds:p95_5m", legend: "sessions" },
          ],
        }),
      ],
    },
    {
      title: "What it stands on",
      height: 8,
      panels: [
        timeSeries({
          title: "Redis round trip, p95",
          about: "A PING from each process, once a scrape. Every call makes several round trips.",
          unit: "s",
          queries: [{ expr: "codegen:redis_round_trip_seconds:p95_5m", legend: "{{job}}" }],
        }),
        timeSeries({
          title: "Redis memory",
          about: "Share of maxmemory. Above 80 % no calls are taken.",
          unit: "percentunit",
          max: 1,
          queries: [{ expr: "max(codegen_redis_memory_ratio)", legend: "used" }],
        }),
        timeSeries({
          title: "Event-loop lag, p99",
          about: "How late timers come. A process above 100 ms needs more cpu, or fewer sessions.",
          unit: "s",
          queries: [{ expr: "max by (job) (nodejs_eventloop_lag_p99_seconds)", legend: "{{job}}" }],
        }),
      ],
    },
  ],
};
