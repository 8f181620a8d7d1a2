import type { Logger } from "pino";
import { PeriodicService } from "../../shared/periodic-service.ts";
import type { AuditEntry } from "./audit-entry.ts";
import type { AuditMetrics } from "./audit-metrics.ts";
import type { AuditStream } from "./audit-stream.ts";

const EVERY_MS = 250;
const WAITING_MAX = 10_000;
const BATCH = 500;

/**
 * Requests that made no call, and so have no record that could tell of them: what coordinators answer themselves, and what
 * was refused. They wait here for a moment, and when Redis is away for as long as they are few; then the oldest go.
 */
export class RequestTrail extends PeriodicService {
  #waiting: AuditEntry[] = [];

  constructor(
    private readonly deps: { stream: Pick<AuditStream, "add">; metrics: Pick<AuditMetrics, "dropped">; log: Logger },
  ) {
    super("request trail", EVERY_MS, deps.log);
  }

  note(entry: AuditEntry): void {
    this.#waiting.push(entry);
    if (this.#waiting.length <= WAITING_MAX) return;
    this.#waiting.shift();
    this.deps.metrics.dropped(1);
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.pass().catch(() => {}); // Redis is away
  }

  protected override async pass(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = new Set(this.#waiting.slice(0, BATCH));
      await this.deps.stream.add([...batch]);
      this.#waiting = this.#waiting.filter((entry) => !batch.has(entry));
    }
  }
}
