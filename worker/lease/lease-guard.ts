import type { Logger } from "pino";
import { PeriodicService } from "../../shared/periodic-service.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Vouch } from "../sandbox/vouch.ts";
import { leaseTimes } from "./lease-times.ts";

/** A session that this worker holds, as far as its lease goes. */
export interface GuardedSession {
  readonly container: Sandbox | undefined;
  /** Asks the records whether the session is still ours in this epoch; false also when they do not answer. */
  confirm(): Promise<boolean>;
}

/**
 * Freezes what a worker holds while it cannot say that it lives, before others take it back; thaws each session once a
 * beat got through and the session is still ours. What stays cut off for too long is given up.
 */
export class LeaseGuard<Session extends GuardedSession> extends PeriodicService {
  /** Held while no beat got through for so long that they may have been taken back. */
  readonly #doubtful = new Set<Session>();
  readonly #confirming = new Set<Session>();
  readonly #times;
  #lastBeatAtMs = Number.NEGATIVE_INFINITY;
  #hasFrozen = false;

  constructor(
    private readonly deps: {
      beats: { readonly sinceBeatMs: number; readonly mayStart: boolean; readonly vouch: Vouch };
      sessions: () => Iterable<Session>;
      giveUp: (session: Session) => void;
      log: Logger;
    },
    leaseMs: number,
  ) {
    super("lease guard", leaseTimes(leaseMs).lookEveryMs, deps.log);
    this.#times = leaseTimes(leaseMs);
  }

  /** Redis has a beat of ours. */
  onBeat(sentAtMs: number): void {
    const hasLapsed = sentAtMs - this.#lastBeatAtMs >= this.#times.startsForMs;
    this.#lastBeatAtMs = sentAtMs;
    const sessions = new Set(this.deps.sessions());
    for (const session of this.#doubtful) if (!sessions.has(session)) this.#doubtful.delete(session);
    for (const session of sessions) {
      if (hasLapsed) this.#doubtful.add(session);
      if (this.#doubtful.has(session)) void this.#resume(session);
      else session.container?.vouch(this.deps.beats.vouch);
    }
    this.#hasFrozen = false;
  }

  protected override async pass(): Promise<void> {
    const { beats, sessions, giveUp, log } = this.deps;
    const { sinceBeatMs } = beats;
    if (sinceBeatMs < this.#times.unfrozenForMs) return;
    if (!this.#hasFrozen)
      log.warn({ sinceBeatMs: Math.round(sinceBeatMs) }, "no beat gets through; sessions are frozen");
    this.#hasFrozen = true;
    for (const session of sessions()) {
      this.#doubtful.add(session);
      if (sinceBeatMs >= this.#times.keptForMs) giveUp(session);
      else void this.#freeze(session);
    }
  }

  /** Not awaited by the others: an engine that hangs holds nobody up. The agent's own fence closes all the same. */
  async #freeze({ container }: Session): Promise<void> {
    await container?.freeze().catch((err: unknown) => {
      this.log.warn({ err, container: container.containerId }, "a container was not frozen; it is tried again");
    });
  }

  /** What cannot be confirmed or thawed now is tried again with the next beat. */
  async #resume(session: Session): Promise<void> {
    if (this.#confirming.has(session)) return;
    this.#confirming.add(session);
    try {
      const isOurs = await session.confirm();
      if (!isOurs || !this.deps.beats.mayStart) return;
      this.#doubtful.delete(session);
      await session.container?.thaw(this.deps.beats.vouch);
    } catch (err) {
      this.#doubtful.add(session);
      this.log.warn(
        { err, container: session.container?.containerId },
        "a container was not thawed; it is tried again",
      );
    } finally {
      this.#confirming.delete(session);
    }
  }
}
