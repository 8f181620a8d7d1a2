import { Counter, type Registry } from "prom-client";

export type LostAs = "OUTCOME_UNKNOWN" | "SESSION_RESET";

/** Counts calls whose session was lost under them, by whoever recorded the loss. */
export class LossMetrics {
  readonly #calls;

  constructor(registry: Registry) {
    this.#calls = new Counter({
      name: "codegen_calls_lost_total",
      help: "Calls that ended because their session or its agent was lost: started (OUTCOME_UNKNOWN) or not (SESSION_RESET)",
      labelNames: ["outcome"],
      registers: [registry],
    });
    this.lost("OUTCOME_UNKNOWN", 0);
    this.lost("SESSION_RESET", 0);
  }

  lost(outcome: LostAs, count = 1): void {
    this.#calls.inc({ outcome }, count);
  }
}
