import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { isFinalState } from "../../shared/call-record.ts";
import { ToolFailure, toFailure } from "../../shared/failure.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import { LOST, lostNotice } from "../../shared/lost-session.ts";
import { PeriodicService } from "../../shared/periodic-service.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { Recovery } from "../checkpoint/recovery.ts";
import type { Beats } from "../lease/beats.ts";
import type { SecretMask } from "../masking/secret-mask.ts";
import type { WorkerMetrics } from "../metrics.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Vouch } from "../sandbox/vouch.ts";
import { type ContainerProvider, isSandboxLost } from "./container-provider.ts";
import type { ContainerRemoval } from "./container-removal.ts";
import { ForgottenSessions } from "./forgotten-sessions.ts";
import { type Executor, OwnedSession } from "./owned-session.ts";
import { SessionWorkspace } from "./session-workspace.ts";

/** How often lanes are read although nobody rang, and how often idle sessions are looked for. */
const READ_LANES_MS = 1_000;
const EXPIRE_EVERY_PASSES = 5;

const outcomeOf = (failure: ToolFailure): string => JSON.stringify({ failure: failure.toRecord() });
const CLOSED = outcomeOf(new ToolFailure("SESSION_NOT_FOUND", "The session was closed before the call ended"));
const REASONS: Record<string, string> = {
  oom: "its memory was used up",
  removed: "it was removed",
  exited: "it ended",
  frozen: "its worker was cut off from its records for too long",
};

/** Holds the sessions that this worker owns: takes them in, replaces lost containers, expires idle ones, lets go. */
export class SessionKeeper extends PeriodicService {
  readonly #sessions = new Map<SessionId, OwnedSession>();
  readonly #records: Records;
  readonly #releasing = new Set<OwnedSession>();
  readonly #starting = new Set<OwnedSession>();
  readonly #givenUp = new WeakSet<OwnedSession>();
  /** Being taken over with their containers. */
  readonly #resuming = new Set<SessionId>();
  readonly #forgotten: ForgottenSessions;
  #passes = 0;

  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      beats: Pick<Beats, "mayStart">;
      containers: ContainerProvider;
      removal: ContainerRemoval;
      recovery: Recovery;
      executors: ReadonlyMap<string, Executor>;
      metrics: WorkerMetrics;
      /** What is masked in the output of a principal's sessions; undefined for nothing. */
      secretsOf: (principal: string) => SecretMask | undefined;
      log: Logger;
      /** A slot became free, or a session has its container: another one may be taken. */
      onRoom: () => void;
      /** Puts a session in line for another worker. */
      onGivenBack: (sid: SessionId, principal: string) => Promise<void>;
    },
    private readonly worker: string,
  ) {
    super("session keeper", READ_LANES_MS, deps.log);
    this.#records = new Records(deps.redis);
    const { redis, scripts, log } = deps;
    const isKnown = (sid: SessionId): boolean => this.#sessions.has(sid) || this.#resuming.has(sid);
    const adopt = (sid: SessionId, epoch: number): Promise<void> => this.adopt(sid, epoch);
    this.#forgotten = new ForgottenSessions({ redis, scripts, log, isKnown, adopt }, worker);
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Sessions that have no container yet. */
  get starting(): number {
    return this.#starting.size;
  }

  /** Sessions that are being let go. */
  get closing(): number {
    return this.#releasing.size;
  }

  get(sid: SessionId): OwnedSession | undefined {
    return this.#sessions.get(sid);
  }

  sessions(): Iterable<OwnedSession> {
    return this.#sessions.values();
  }

  /** It stood frozen for too long: it goes on in a fresh container, if it is still ours then. */
  giveUp(session: OwnedSession): void {
    if (!this.#givenUp.has(session)) {
      this.deps.metrics.leaseLost("frozen");
      void this.#replace(session, "frozen");
    }
    this.#givenUp.add(session);
  }

  /** Takes in a session that was claimed in `epoch`: gives it a container and starts what waits in its lane. */
  async adopt(sid: SessionId, epoch: number): Promise<void> {
    const record = await this.#records.session(sid);
    if (record?.owner !== this.worker || record.epoch !== epoch) return;
    if (this.#sessions.get(sid)?.lease.epoch !== epoch) this.#hold(record); // else it was handed to us twice
  }

  /** Goes on with a session that an earlier worker of this host had, in its container. @param record as it is in the new epoch */
  async resume(record: SessionRecord, sandbox: Sandbox): Promise<void> {
    const session = this.#make(record);
    this.#resuming.add(record.id);
    try {
      const detached = await this.deps.containers.resume(record, session, sandbox);
      this.#sessions.set(record.id, session); // not before: whoever rings starts what nobody seems to have started
      if (sandbox.death) throw new Error("its container died meanwhile");
      session.takeUp(detached);
      void session.ring();
    } catch (err) {
      this.log.warn({ err, session: record.id }, "a session's container could not be taken over");
      this.#sessions.set(record.id, session);
      void this.#replace(session, "exited");
    } finally {
      this.#resuming.delete(record.id);
    }
  }

  /** Calls wait for the next owner from now on; what runs goes on. */
  async pauseAll(): Promise<void> {
    const all = [...this.#sessions.values()];
    await Promise.allSettled(all.map((session) => this.deps.scripts.pause(session.id, session.lease)));
  }

  /**
   * Lets go of every session for the next worker of this host; their containers, and what runs there, stay.
   * @param vouch how long that may run without another word
   */
  async leaveAll(vouch: Vouch): Promise<void> {
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of all) session.leave();
    await Promise.allSettled(all.map(({ workspace }) => workspace.leave(vouch)));
  }

  get runningCalls(): number {
    return [...this.#sessions.values()].reduce((sum, session) => sum + session.runningCalls, 0);
  }

  /** Kills every process: the calls that wait for one end with a result that says so. */
  async killAll(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(({ workspace }) => workspace.killAll()));
  }

  /** Calls that run and whose end no later owner could tell. */
  get boundCalls(): number {
    return [...this.#sessions.values()].reduce((sum, session) => sum + session.boundCalls, 0);
  }

  /** Gives every session back, to be placed on another worker; nothing of them stays here. */
  async giveBackAll(): Promise<void> {
    const why = "its worker was taken out of service";
    const given = await Promise.allSettled([...this.#sessions.values()].map((session) => this.#giveBack(session, why)));
    const failed = given.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  /** @param why completes "was replaced because" */
  async #giveBack(session: OwnedSession, why: string): Promise<void> {
    const { redis, scripts, onGivenBack } = this.deps;
    const [state, principal] = await redis.hmget(keys.session(session.id), "state", "principal");
    if (state === "closing") return await this.release(session.id);
    if (!this.#starting.has(session)) await session.checkpoints.takeLast();
    session.end();
    const to = { owner: "", state: "queued" as const, notice: lostNotice(why), ...LOST };
    if ((await scripts.lose(session.id, session.lease.epoch, to)) > 0) await onGivenBack(session.id, principal ?? "");
    await this.deps.removal.remove(session.workspace.container);
    this.#drop(session);
  }

  /**
   * Ends a session for good: its container first, so that whoever is told it is closed finds nothing left.
   * @param end `outcome` of the calls that are open; `asking` is the call that wanted it, and gets `answer`
   */
  async release(sid: SessionId, end: { outcome?: string; asking?: CallId; answer?: string } = {}): Promise<void> {
    const session = this.#sessions.get(sid);
    if (!session || this.#releasing.has(session)) return;
    this.#releasing.add(session);
    session.end();
    try {
      await this.deps.removal.remove(session.workspace.container);
      const principal = (await this.deps.redis.hget(keys.session(sid), "principal")) ?? "";
      await this.deps.scripts.release(sid, session.lease.epoch, { outcome: CLOSED, ...end });
      await this.deps.redis.zrem(keys.principalSessions(principal), sid);
      this.#drop(session);
    } catch (error) {
      this.#unhold(session); // it is found as forgotten, and ended or begun anew
      throw error;
    } finally {
      this.#releasing.delete(session);
    }
  }

  #hold(record: SessionRecord): void {
    const session = this.#make(record);
    this.#sessions.set(record.id, session);
    this.#starting.add(session);
    void this.#provide(record, session).finally(() => {
      this.#starting.delete(session);
      this.deps.onRoom();
    });
    void session.ring();
  }

  #make(record: SessionRecord): OwnedSession {
    const { scripts, executors, beats, metrics, log } = this.deps;
    const records = this.#records;
    const mayStart = (): boolean => beats.mayStart;
    const lease = { worker: this.worker, epoch: record.epoch };
    const onDied = (reason: string): void => void this.#replace(session, reason);
    const secrets = this.deps.secretsOf(record.principal);
    const workspace = new SessionWorkspace({ scripts, metrics, secrets, log, onDied }, record.id, lease);
    const onFenced = (fenced: OwnedSession): void => void this.#letGo(fenced);
    const checkpoints = this.deps.recovery.checkpointsOf(record, lease, workspace);
    const { principal } = record;
    const deps = { scripts, records, executors, metrics, mayStart, principal, log, onFenced };
    const session = new OwnedSession(deps, record.id, lease, workspace, checkpoints);
    return session;
  }

  async #provide(record: SessionRecord, session: OwnedSession): Promise<void> {
    try {
      await this.deps.containers.provide(record, session, () => this.#isHeld(session));
    } catch (error) {
      this.log.error({ err: error, session: record.id }, "a session got no container");
      if (!this.#isHeld(session)) return session.workspace.fail(error); // it goes on in another epoch
      const hadContainer = record.workdir !== ""; // else nothing is lost, and its create_session says what is wrong
      const ended =
        isSandboxLost(error) && hadContainer
          ? this.#giveBack(session, "its worker could not start a container")
          : this.release(record.id, { outcome: outcomeOf(toFailure(error)) });
      session.workspace.fail(error);
      await ended.catch((err: unknown) =>
        this.log.error({ err, session: record.id }, "a session without a container could not be let go"),
      );
    }
  }

  #isHeld(session: OwnedSession): boolean {
    return this.#sessions.get(session.id) === session;
  }

  /** The container died while we own the session: the same session goes on in a fresh one, and says so once. */
  async #replace(session: OwnedSession, reason: string): Promise<void> {
    if (this.#sessions.get(session.id) !== session) return;
    const { scripts, log } = this.deps;
    session.end();
    log.warn({ session: session.id, reason }, "a session's container died");
    void this.deps.removal.remove(session.workspace.container);
    try {
      const why = REASONS[reason] ?? "it failed";
      const to = { owner: this.worker, state: "starting" as const, notice: lostNotice(why), ...LOST };
      const epoch = await scripts.lose(session.id, session.lease.epoch, to);
      if (epoch > 0) await this.adopt(session.id, epoch);
      else this.#drop(session);
    } catch (err) {
      log.error({ err, session: session.id }, "a session could not be replaced; it is tried again");
      this.#unhold(session);
    }
  }

  /** The records say that the session is no longer ours in this epoch. */
  async #letGo(session: OwnedSession): Promise<void> {
    if (this.#sessions.get(session.id) !== session) return;
    this.deps.metrics.leaseLost("fenced");
    this.deps.log.warn({ session: session.id }, "a session is no longer ours; its container is removed");
    session.end();
    this.#drop(session);
    await this.deps.removal.remove(session.workspace.container);
  }

  #drop(session: OwnedSession): void {
    if (!this.#unhold(session)) return;
    this.deps.redis.srem(keys.workerSessions(this.worker), session.id).catch(() => {}); // a stale entry does no harm
  }

  #unhold(session: OwnedSession): boolean {
    if (!this.#isHeld(session)) return false;
    this.#sessions.delete(session.id);
    this.deps.onRoom();
    return true;
  }

  /** Doorbells may be lost: every lane is read each second, and doorbells whose call ended elsewhere are let go. */
  protected override async pass(): Promise<void> {
    this.#passes++;
    const isExpiryPass = this.#passes % EXPIRE_EVERY_PASSES === 0;
    if (isExpiryPass) await this.#listSessions();
    await Promise.allSettled(
      [...this.#sessions.values()].map(async (session) => {
        await session.ring();
        for (const callId of session.idleDoorbells()) {
          const state = await this.#records.callState(session.id, callId);
          if (!state || isFinalState(state) || state === "detached") session.settle(callId, state ?? "gone");
        }
        void session.checkpoints.takeWhenQuiet();
        if (isExpiryPass && (await this.deps.scripts.expire(session.id, session.lease))) this.#releaseIdle(session);
      }),
    );
    if (!isExpiryPass) return;
    this.deps.removal.tryAgain();
    await this.#forgotten.look();
  }

  /** Whoever took us for dead may have removed the list, by which others find our sessions when we die. */
  async #listSessions(): Promise<void> {
    const held = [...this.#sessions.keys()];
    if (held.length > 0) await this.deps.redis.sadd(keys.workerSessions(this.worker), ...held);
  }

  /** Not awaited: a removal that hangs must not keep the other lanes from being read. */
  #releaseIdle(session: OwnedSession): void {
    this.release(session.id).catch((err: unknown) => {
      this.log.warn({ err, session: session.id }, "an idle session was not ended; the next look tries again");
    });
  }
}
