import type { TreeEntry } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { Outcome } from "../../shared/call-record.ts";
import type { CheckpointRecord } from "../../shared/checkpoint-record.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { CallId, CheckpointId, SessionId } from "../../shared/ids.ts";
import { FencedError, type Lease } from "../../shared/redis/session-scripts.ts";
import type { WorkerMetrics } from "../metrics.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SessionWorkspace } from "../session/session-workspace.ts";
import { CheckpointFiles } from "./checkpoint-files.ts";
import { readTree } from "./read-changes.ts";
import { type Advance, type PointerDeps, SessionPointer, type Taken } from "./session-pointer.ts";
import type { Turnstile } from "./turnstile.ts";

/** When a session's files are stored: before each result that may have changed them, after a quiet moment, never. */
export type Durability = "call" | "idle" | "none";

/** While processes run, files may change without a call: they are looked at again this often. */
const MOVING_MS = 30_000;
const RETRY_MS = 10_000;

export interface CheckpointsDeps extends PointerDeps {
  /** For checkpoints that nobody waits for, and for restores. */
  turnstile: Turnstile;
  metrics: Pick<WorkerMetrics, "checkpoint" | "restore">;
}

type Wanted = Omit<Advance, "covered" | "isMoving"> & { by?: CallId | undefined };

/** The checkpoints of one session in one epoch: one at a time, each pointed to under the lease. */
export class SessionCheckpoints {
  /** Mutating calls that run, with their numbers. */
  readonly #running = new Map<CallId, number>();
  #started: number;
  readonly #pointer: SessionPointer;
  #turn: Promise<unknown> = Promise.resolve();
  #isDirty: boolean;
  /** No checkpoint that nobody waits for before then. */
  #restsUntil = 0;

  constructor(
    private readonly deps: CheckpointsDeps,
    private readonly session: {
      id: SessionId;
      lease: Lease;
      principal: string;
      durability: Durability;
      /** Of its record when it was taken over. */
      mutations: number;
      checkpoint: CheckpointId | "";
      /** Something was changed since that no checkpoint holds: an earlier owner of its container left it so. */
      isDirty: boolean;
      quietMs: number;
    },
    private readonly workspace: SessionWorkspace,
  ) {
    this.#started = session.mutations;
    this.#pointer = new SessionPointer(deps, session);
    this.#isDirty = session.isDirty;
  }

  /** @param mutation see `ReadyCall`; 0 for a call that changes nothing */
  callStarted(callId: CallId, mutation: number): void {
    if (mutation === 0) return;
    this.#started = Math.max(this.#started, mutation);
    this.#running.set(callId, mutation);
    this.#isDirty = true;
  }

  /** The call is over, and its result is about to be told: it says so where it would not survive the worker. */
  async callEnded(callId: CallId, outcome: Outcome): Promise<Outcome> {
    if (!this.#running.has(callId)) return outcome;
    this.#restsUntil = performance.now() + this.session.quietMs;
    try {
      if (this.session.durability === "call") await this.#inTurn(() => this.#take({ by: callId }));
      return outcome;
    } catch (error) {
      if (error instanceof FencedError) throw error;
      this.deps.log.warn({ err: error, session: this.session.id, call: callId }, "a result is not durable");
      return notDurable(outcome, error);
    } finally {
      this.#running.delete(callId);
    }
  }

  /**
   * One that a call asked for.
   * @param name of one that stays until it is deleted; empty for one that goes by itself
   * @throws {ToolFailure} QUOTA_EXCEEDED
   */
  async take(name: string, by: CallId): Promise<CheckpointRecord> {
    return await this.#inTurn(() => this.#take({ name, by, isNewInAnyCase: true, isOnQuota: true }));
  }

  /** Makes the session's files what `record` holds, in place: what was changed since is undone, and counts as lost. */
  async restore(record: CheckpointRecord, by: CallId): Promise<void> {
    await this.#inTurn(async () => {
      const sandbox = await this.workspace.sandbox();
      await this.#pointer.restore(sandbox, record);
      const isOwn = record.sessionId === this.session.id;
      await this.#take({ by, undone: isOwn ? record.covered + 1 : 1, isNewInAnyCase: true });
    });
  }

  /** What the session's home holds now, and what it did then. @throws {ToolFailure} STORE_UNAVAILABLE */
  async compare(record: CheckpointRecord): Promise<{ now: TreeEntry[]; then: CheckpointFiles }> {
    const then = await CheckpointFiles.open(this.deps.store, record.layers);
    return await this.#inTurn(async () => ({ now: await readTree(await this.workspace.sandbox()), then }));
  }

  /** Fills a fresh container, before anybody else sees it. @throws {ToolFailure} STORE_UNAVAILABLE */
  async fill(sandbox: Sandbox, record: CheckpointRecord): Promise<void> {
    await this.#pointer.restore(sandbox, record);
  }

  /** Stores what has changed, if nobody has called for a while. Never rejects; does nothing while another is under way. */
  async takeWhenQuiet(): Promise<void> {
    const { durability, id } = this.session;
    if (durability === "none" || !this.#isDirty || this.#running.size > 0) return;
    if (performance.now() < this.#restsUntil) return;
    this.#restsUntil = Number.POSITIVE_INFINITY; // until it ended, or a call did meanwhile
    try {
      await this.deps.turnstile.pass(() => this.#inTurn(() => this.#take({})));
      const rest = this.#isDirty ? MOVING_MS : 0;
      if (this.#restsUntil === Number.POSITIVE_INFINITY) this.#restsUntil = performance.now() + rest;
    } catch (err) {
      this.#restsUntil = performance.now() + RETRY_MS;
      if (!(err instanceof FencedError)) this.deps.log.warn({ err, session: id }, "a session's files were not stored");
    }
  }

  /** Stores what has changed before the session leaves this worker. Never rejects: what is not stored is told as lost. */
  async takeLast(): Promise<void> {
    const { durability, id } = this.session;
    if (durability === "none" || !this.#isDirty) return;
    await this.#inTurn(() => this.#take({})).catch((err: unknown) => {
      this.deps.log.warn({ err, session: id }, "a session's files were not stored before it left");
    });
  }

  async #take(wanted: { isNewInAnyCase: true } & Wanted): Promise<CheckpointRecord>;
  /** @returns undefined when nothing has changed */
  async #take(wanted: Wanted): Promise<CheckpointRecord | undefined>;
  async #take(wanted: Wanted): Promise<CheckpointRecord | undefined> {
    const { metrics } = this.deps;
    const startedAt = performance.now();
    try {
      const { record, storedBytes } = await this.#writeAndPoint(wanted);
      metrics.checkpoint(record ? "stored" : "unchanged", performance.now() - startedAt, storedBytes);
      return record;
    } catch (error) {
      if (!(error instanceof FencedError)) metrics.checkpoint("failed", performance.now() - startedAt);
      throw error;
    }
  }

  async #writeAndPoint({ by, ...wanted }: Wanted): Promise<Taken> {
    const sandbox = await this.workspace.sandbox();
    const others = [...this.#running].flatMap(([callId, mutation]) => (callId === by ? [] : [mutation]));
    const started = this.#started;
    const covered = others.length > 0 ? Math.min(...others) - 1 : started;
    const isMoving = others.length > 0 || this.workspace.runsProcessesBesides(by);
    const taken = await this.#pointer.advance(sandbox, { ...wanted, covered, isMoving });
    this.#isDirty = isMoving || this.#started > started; // what began meanwhile may have come after the scan
    return taken;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

const notDurable = (outcome: Outcome, error: unknown): Outcome => {
  const why = error instanceof ToolFailure ? error.message : "its files could not be stored";
  const news = `What this call changed is lost if its worker is: ${why}.`;
  if ("failure" in outcome)
    return { failure: { ...outcome.failure, hint: [outcome.failure.hint, news].join(" ").trim() } };
  const notice = outcome.result.notice ? `${outcome.result.notice} ${news}` : news;
  return { result: { ...outcome.result, durable: false, notice } };
};
