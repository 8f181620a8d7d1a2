import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { isFailureCode } from "../shared/failure.ts";
import { answerInTime } from "../shared/metrics/answer-in-time.ts";

/** What a scrape asks for. What fails, or takes long, is left out: nobody knows then. */
export interface CoordinatorSources {
  waitingSessions: () => Promise<number>;
  liveWorkers: () => Promise<number>;
  /** Share of its `maxmemory` that Redis uses; undefined where it has no limit or did not say. */
  redisMemory: () => number | undefined;
}

/** What the coordinator counts. Labels are tool names and failure codes only: both are closed sets. */
export class CoordinatorMetrics {
  readonly #calls;
  readonly #seconds;
  readonly #workersLost;
  readonly #refusals;

  constructor(registry: Registry, sources: CoordinatorSources) {
    const registers = [registry];
    this.#calls = new Counter({
      name: "codegen_calls_total",
      help: "Tool calls answered, by tool and outcome (OK or a failure code)",
      labelNames: ["tool", "outcome"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "codegen_call_seconds",
      help: "Time from a tool call's arrival to its answer, which may be that it goes on",
      labelNames: ["tool"],
      buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
    this.#workersLost = new Counter({
      name: "codegen_workers_lost_total",
      help: "Workers that this replica found dead, and whose sessions it took back",
      registers,
    });
    this.#refusals = new Counter({
      name: "codegen_placement_refusals_total",
      help: "New sessions that ended with NO_CAPACITY, because too many waited or none took them in time",
      registers,
    });
    const gauge = (name: string, help: string, read: () => Promise<number | undefined>): void => {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          const value = await answerInTime(read());
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    };
    gauge(
      "codegen_placement_waiting_sessions",
      "Sessions that wait for a worker: the signal to scale workers on. The same on every replica",
      sources.waitingSessions,
    );
    gauge("codegen_workers", "Workers that beat within their lease. The same on every replica", sources.liveWorkers);
    gauge(
      "codegen_redis_memory_ratio",
      "Share of its maxmemory that Redis uses; above 0.8 no calls are taken. Absent without a limit",
      async () => sources.redisMemory(),
    );
  }

  /** @param outcome OK or a failure code; a worker that is a version ahead may know others */
  answered(tool: string, outcome: string, durationMs: number): void {
    this.#calls.inc({ tool, outcome: outcome === "OK" || isFailureCode(outcome) ? outcome : "INTERNAL" });
    this.#seconds.observe({ tool }, durationMs / 1000);
  }

  workerLost(): void {
    this.#workersLost.inc();
  }

  placementRefused(): void {
    this.#refusals.inc();
  }
}
