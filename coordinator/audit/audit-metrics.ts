import { Counter, Gauge, type Registry } from "prom-client";

/** What the audit counts; on the replica that keeps it. */
export class AuditMetrics {
  /** True also where there is no Postgres to be there. */
  isStoreThere = true;
  readonly #stored;
  readonly #dropped;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#stored = new Counter({
      name: "codegen_audit_calls_total",
      help: "Calls written to the audit in Postgres",
      registers,
    });
    this.#dropped = new Counter({
      name: "codegen_audit_dropped_total",
      help: "Entries of the audit that were dropped: Postgres was away for longer than Redis, or this replica, could hold them",
      registers,
    });
    const isStoreThere = (): boolean => this.isStoreThere;
    new Gauge({
      name: "codegen_audit_store_up",
      help: "1 while Postgres takes the audit, or none is configured; 0 while it is away",
      registers,
      collect() {
        this.set(isStoreThere() ? 1 : 0);
      },
    });
  }

  stored(count: number): void {
    this.#stored.inc(count);
  }

  dropped(count: number): void {
    this.#dropped.inc(count);
  }
}
