import { Counter, collectDefaultMetrics, Gauge, Histogram, type Registry } from "prom-client";

/** What the coordinator counts. Labels are tool names and failure codes only: both are closed sets. */
export class CallMetrics {
  readonly #calls;
  readonly #seconds;

  constructor(registry: Registry, deps: { waitingSessions: () => Promise<number> }) {
    collectDefaultMetrics({ register: registry });
    this.#calls = new Counter({
      name: "codegen_calls_total",
      help: "Tool calls answered, by tool and outcome (OK or a failure code)",
      labelNames: ["tool", "code"],
      registers: [registry],
    });
    this.#seconds = new Histogram({
      name: "codegen_call_seconds",
      help: "Time from a tool call's arrival to its answer",
      labelNames: ["tool"],
      buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers: [registry],
    });
    new Gauge({
      name: "codegen_waiting_sessions",
      help: "Sessions that wait for a worker: the signal to scale workers on",
      registers: [registry],
      async collect() {
        this.set(await deps.waitingSessions().catch(() => Number.NaN));
      },
    });
  }

  ended(tool: string, code: string, durationMs: number): void {
    this.#calls.inc({ tool, code });
    this.#seconds.observe({ tool }, durationMs / 1000);
  }
}
