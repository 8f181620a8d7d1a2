import type { SessionId } from "../../shared/ids.ts";
import type { Era } from "./agent-connection.ts";

export type Durability = "call" | "idle";

/** One mutating call of the script, whose effect is a line of a file. */
export interface Effect {
  number: number;
  key: string;
  tool: string;
  args: Record<string, unknown>;
  startedAt: number;
  /** Its last answer; undefined while it runs. */
  endedAt?: number;
  /** The first time that its client was told that it was lost or reset. */
  toldAt?: number;
  /** When its connection first broke. */
  brokenAt?: number;
  /** What the client was told at last. */
  end?: "acknowledged" | "unknown" | "refused";
  /** The code or status of an end that is no acknowledgement. */
  why?: string;
  /** The client was told that this effect may be gone: a restore went back before it. */
  isExcused: boolean;
  /** How long the command itself ran, ms. */
  ranMs: number;
  /** Told besides the result. */
  processId?: unknown;
}

/** What one session was told: the truth that files and records are held against afterwards. Times are `performance.now()`. */
export class SessionLedger {
  readonly effects: Effect[] = [];
  readonly notices: { at: number; text: string }[] = [];
  /** Calls that ended well: when they were begun, and when they were over. */
  readonly successes: { startedAt: number; endedAt: number }[] = [];
  wrongDeliveries: string[] = [];
  resets = 0;
  notDurable = 0;
  id: SessionId = "ses_";
  /** Set when the client was told that its session is no more. */
  goneWith: string | undefined;

  constructor(
    /** What every line of this session begins with. */
    readonly token: string,
    readonly durability: Durability | undefined,
    readonly era: Era,
  ) {}

  get acknowledged(): Effect[] {
    return this.effects.filter(({ end }) => end === "acknowledged");
  }

  get unknown(): Effect[] {
    return this.effects.filter(({ end }) => end === "unknown");
  }

  /** A call that runs now. */
  get running(): Effect | undefined {
    const last = this.effects.at(-1);
    return last && last.end === undefined ? last : undefined;
  }

  /** News that came with an answer: the sandbox was replaced. */
  notice(text: string): void {
    this.notices.push({ at: performance.now(), text });
    this.lost();
  }

  /** The client was told of a loss: what it was told before may be gone, unless the session promised otherwise. */
  lost(): void {
    if (this.durability === "call") return;
    for (const effect of this.effects) if (effect.end !== undefined) effect.isExcused = true;
  }
}
