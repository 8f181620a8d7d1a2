import type { SessionId } from "../../shared/ids.ts";
import type { SessionLedger } from "./ledger.ts";

/** One fault that was made. Times are `performance.now()`. */
export interface Fault {
  kind: string;
  /** What exactly was hit. */
  what: string;
  at: number;
  /** When the cause itself was over; undefined while it lasts. */
  endedAt?: number;
  /** The sessions that it can have hurt; undefined for all. */
  sessions: ReadonlySet<SessionId> | undefined;
  /** Calls that ran when it was made. */
  running: number;
}

/** What was broken, when, and how the sessions got over it. */
export class FaultLog {
  readonly faults: Fault[] = [];

  constructor(private readonly ledgers: readonly SessionLedger[]) {}

  get counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.faults) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  of(kind: string): Fault[] {
    return this.faults.filter((fault) => fault.kind === kind);
  }

  /** The sessions that a fault can have hurt. */
  hurt({ sessions }: Fault): SessionLedger[] {
    return this.ledgers.filter(({ id }) => sessions?.has(id) ?? true);
  }

  /** Ms from each fault to the first call that a hurt session began after it and that ended well; undefined: none yet. */
  recoveries(fault: Fault): (number | undefined)[] {
    return this.hurt(fault).map(({ successes }) => {
      const first = successes.find(({ startedAt }) => startedAt >= fault.at);
      return first && first.endedAt - fault.at;
    });
  }

  isOver(fault: Fault): boolean {
    return fault.endedAt !== undefined && this.recoveries(fault).every((ms) => ms !== undefined);
  }

  /** The longest time until a hurt session worked again, by kind, in s. */
  longestRecoveries(): Record<string, number> {
    const longest: Record<string, number> = {};
    for (const fault of this.faults) {
      for (const ms of this.recoveries(fault)) {
        longest[fault.kind] = Math.max(longest[fault.kind] ?? 0, (ms ?? Number.POSITIVE_INFINITY) / 1000);
      }
    }
    return longest;
  }

  /** What most likely ended a call: the last fault that hurt its session before the call's end. */
  causeOf(ledger: SessionLedger, call: { startedAt: number; endedAt?: number }): string {
    const until = call.endedAt ?? performance.now();
    const hurting = this.faults.filter(({ at, endedAt, sessions }) => {
      const isHurt = sessions?.has(ledger.id) ?? true;
      return isHurt && at <= until && (endedAt ?? until) + REACH_MS >= call.startedAt;
    });
    const exact = hurting.filter(({ sessions }) => sessions);
    return (exact.at(-1) ?? hurting.at(-1))?.kind ?? "no fault";
  }
}

/** How long a fault can still end calls after it is over: a lease, its reaping and a restore. */
const REACH_MS = 25_000;
