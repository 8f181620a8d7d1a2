import type { Dashboard } from "./dashboard.ts";
import { timeSeries } from "./panels.ts";

const quantiles = (metric: string, selector = ""): { expr: string; legend: string }[] =>
  [0.5, 0.95].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le) (rate(${metric}_bucket${selector}[$__rate_interval])))`,
    legend: `p${quantile * 100}`,
  }));

const TOOL = '{tool=~"$tool"}';

/** What do agents get? */
export const sessionsAndCalls: Dashboard = {
  uid: "codegen-calls",
  title: "Sessions and calls",
  about: "What agents ask for, how it ends, and where its time goes.",
  choices: [{ name: "tool", label: "Tool", metric: "codegen_calls_total", of: "tool" }],
  rows: [
    {
      title: "Calls",
      height: 9,
      panels: [
        timeSeries({
          title: "Calls by tool",
          about: "Answers a second.",
          unit: "reqps",
          stacked: true,
          queries: [{ expr: `sum by (tool) (rate(codegen_calls_total${TOOL}[$__rate_interval]))`, legend: "{{tool}}" }],
        }),
        timeSeries({
          title: "Failures by tool and code",
          about: "Answers with a failure code, a second. INTERNAL is our fault: the log has it.",
          unit: "reqps",
          queries: [
            {
              expr: 'sum by (tool, outcome) (rate(codegen_calls_total{tool=~"$tool", outcome!="OK"}[$__rate_interval]))',
              legend: "{{tool}} {{outcome}}",
            },
          ],
        }),
        timeSeries({
          title: "Calls lost with their session",
          about: "OUTCOME_UNKNOWN had started, SESSION_RESET had not and is safe to repeat.",
          unit: "reqps",
          queries: [
            { expr: "sum by (outcome) (rate(codegen_calls_lost_total[$__rate_interval]))", legend: "{{outcome}}" },
          ],
        }),
      ],
    },
    {
      title: "Where the time goes",
      height: 9,
      panels: [
        timeSeries({
          title: "Time to the answer, p95, by tool",
          about: "As clients see it: waiting and running, up to their soft wait.",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, tool) (rate(codegen_call_seconds_bucket${TOOL}[$__rate_interval])))`,
              legend: "{{tool}}",
            },
          ],
        }),
        timeSeries({
          title: "Time queued",
          about: "From a call's record to its start: behind others in its session, or without a worker.",
          unit: "s",
          queries: quantiles("codegen_call_queued_seconds"),
        }),
        timeSeries({
          title: "Time running, p95, by tool",
          about: "From start to end on the worker, detached calls too.",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, tool) (rate(codegen_call_run_seconds_bucket${TOOL}[$__rate_interval])))`,
              legend: "{{tool}}",
            },
          ],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        timeSeries({
          title: "Time to first output",
          about: "From a process's start to its first byte.",
          unit: "s",
          queries: quantiles("codegen_first_output_seconds"),
        }),
        timeSeries({
          title: "Output",
          about: "Bytes recorded a second.",
          unit: "Bps",
          stacked: true,
          queries: [
            { expr: "sum by (stream) (rate(codegen_stream_bytes_total[$__rate_interval]))", legend: "{{stream}}" },
          ],
        }),
        timeSeries({
          title: "Calls now",
          about: "Running, and queued in their sessions' lanes.",
          unit: "short",
          queries: [{ expr: "sum by (state) (codegen_calls)", legend: "{{state}}" }],
        }),
      ],
    },
    {
      title: "Sessions",
      height: 8,
      panels: [
        timeSeries({
          title: "Sessions by state",
          about: "Held by workers, and waiting for one.",
          unit: "short",
          stacked: true,
          queries: [
            { expr: "sum by (state) (codegen_sessions)", legend: "{{state}}" },
            { expr: "max(codegen_placement_waiting_sessions)", legend: "queued" },
          ],
        }),
        timeSeries({
          title: "Wait for a worker",
          about: "Time in line until a worker took the session. Past 45 s it ends with NO_CAPACITY.",
          unit: "s",
          queries: quantiles("codegen_placement_wait_seconds"),
        }),
        timeSeries({
          title: "Sessions refused",
          about: "NO_CAPACITY, in five minutes.",
          unit: "short",
          queries: [{ expr: "sum(increase(codegen_placement_refusals_total[5m]))", legend: "refused" }],
        }),
      ],
    },
    {
      title: "Checkpoints",
      height: 8,
      panels: [
        timeSeries({
          title: "Checkpoints by result",
          about: "Failed ones leave results that do not survive their worker.",
          unit: "ops",
          queries: [
            { expr: "sum by (result) (rate(codegen_checkpoints_total[$__rate_interval]))", legend: "{{result}}" },
          ],
        }),
        timeSeries({
          title: "Time to take one",
          about: "A session stands still while it is scanned, and with much that is new until the store has it.",
          unit: "s",
          queries: quantiles("codegen_checkpoint_seconds"),
        }),
        timeSeries({
          title: "Bytes stored",
          about: "Written for checkpoints, a second.",
          unit: "Bps",
          queries: [{ expr: "sum(rate(codegen_checkpoint_stored_bytes_total[$__rate_interval]))", legend: "stored" }],
        }),
        timeSeries({
          title: "Restores",
          about: "Containers filled from a checkpoint, by result, and how long it took.",
          unit: "ops",
          queries: [{ expr: "sum by (result) (rate(codegen_restores_total[$__rate_interval]))", legend: "{{result}}" }],
        }),
      ],
    },
  ],
};
