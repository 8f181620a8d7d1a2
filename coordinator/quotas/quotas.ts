import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { createCheckpoint, forkSession, type Tool } from "../../shared/catalog/index.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { defineScript } from "../../shared/redis/script-runner.ts";
import type { Service } from "../../shared/service.ts";
import { WatchedFiles } from "../watched-files.ts";
import { EndedPlaces } from "./ended-places.ts";
import { exceeded, type Limit } from "./exceeded.ts";
import { QuotaFile } from "./quota-file.ts";

const STORING = new Set([createCheckpoint.name, forkSession.name]);
/** Workers count cpu time as long as somebody asked for it so recently. */
const COUNT_CPU_S = 120;
/** A call that stores waits for its worker no longer than that. */
const STORED_LIMIT_TOLD_S = 86_400;
const REMIND_EVERY_MS = 10_000;
/** Ends that were seen here, of one principal; others find them in the records. */
const MAX_ENDED = 1_000;

/** Holds calls and sessions against their principal's quotas. Fails closed: where Redis does not answer, nothing is admitted. */
export class Quotas implements Service {
  readonly #file: WatchedFiles | undefined;
  readonly #admitCall;
  readonly #admitSession;
  readonly #places: EndedPlaces;
  readonly #ended = new Map<string, Set<CallId>>();
  #quotas = new QuotaFile("{}");
  #reminding: NodeJS.Timeout | undefined;

  /** @param path of the file; "" for no quotas */
  constructor(
    private readonly deps: { redis: Redis; records: Records; log: Logger },
    path: string,
  ) {
    const { redis, log } = deps;
    this.#admitCall = defineScript(redis, "admit_call");
    this.#admitSession = defineScript(redis, "admit_session");
    this.#places = new EndedPlaces(redis);
    const take = ([text = ""]: string[]): void => {
      this.#quotas = new QuotaFile(text);
      this.#askForCpu();
    };
    this.#file = path ? new WatchedFiles([path], take, log) : undefined;
  }

  /** Before anybody is let in. @throws {ConfigError} when the file cannot be read or is no good */
  async load(): Promise<void> {
    await this.#file?.load();
  }

  start(): void {
    if (!this.#file) return;
    this.#file.start();
    this.#askForCpu();
    this.#reminding ??= setInterval(() => this.#remind(), REMIND_EVERY_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#reminding);
    this.#reminding = undefined;
    await this.#file?.stop();
  }

  /** The principal's turns in the line for a worker, against others' 1. */
  weightOf(principal: string): number {
    return this.#quotas.of(principal).weight ?? 1;
  }

  /**
   * Takes one call into account, before it is submitted.
   * @param place the call, where it holds one of those that may be open at a time until it has ended
   * @throws {ToolFailure} QUOTA_EXCEEDED
   */
  async admitCall(principal: string, tool: Tool, place?: CallId): Promise<void> {
    const quota = this.#quotas.of(principal);
    const { open_calls: open, calls_per_minute: rate, cpu_seconds_per_hour: cpu, stored_bytes: stored } = quota;
    if (STORING.has(tool.name)) await this.#checkStored(principal, stored);
    if (isUnlimited(place ? open : null) && isUnlimited(rate) && isUnlimited(cpu)) return;
    const ask = async (ended: Iterable<string>): Promise<[Limit | "ok", number?]> => {
      const limits = [open ?? "", rate ?? "", isUnlimited(cpu) ? "" : cpu * 1_000];
      const raw = await this.#admitCall(keys.quota(principal), place ?? "", ...limits, ...ended);
      return raw as [Limit | "ok", number?];
    };
    let [why, retryAfterMs] = await ask(this.#takeEnded(principal));
    // Another replica may not have told yet which have ended, or have died before it could.
    if (why === "open") [why, retryAfterMs] = await ask(await this.#places.calls(principal));
    if (why !== "ok") throw exceeded(why, quota, retryAfterMs);
  }

  /** The call holds its place no more. It is told with the principal's next call, at no cost. */
  ended(principal: string, callId: CallId): void {
    if (isUnlimited(this.#quotas.of(principal).open_calls)) return;
    const ended = this.#ended.get(principal) ?? new Set();
    this.#ended.set(principal, ended);
    if (ended.size < MAX_ENDED) ended.add(callId);
  }

  /** The call was admitted and not submitted after all: no record will ever say that it has ended. */
  withdraw(principal: string, callId: CallId): void {
    if (!isUnlimited(this.#quotas.of(principal).open_calls)) this.#forget(principal, [callId]);
  }

  /** Puts a session in its principal's index, before it is opened. @throws {ToolFailure} QUOTA_EXCEEDED */
  async admitSession(principal: string, sid: SessionId): Promise<void> {
    const quota = this.#quotas.of(principal);
    const index = keys.principalSessions(principal);
    if (isUnlimited(quota.sessions)) {
      await this.deps.redis.zadd(index, Date.now(), sid);
      return;
    }
    const ask = async (): Promise<boolean> => (await this.#admitSession(index, sid, quota.sessions ?? 0)) === 1;
    if (await ask()) return;
    const gone = await this.#places.sessions(principal);
    if (gone.length > 0) await this.deps.redis.zrem(index, ...gone);
    if (gone.length === 0 || !(await ask())) throw exceeded("sessions", quota);
  }

  /** What a checkpoint takes is known as it is written: its worker is told the limit, and holds it. */
  async #checkStored(principal: string, most: number | null | undefined): Promise<void> {
    const told = `${keys.quota(principal)}:stored:most`;
    if (isUnlimited(most)) {
      await this.deps.redis.del(told);
      return;
    }
    await this.deps.redis.set(told, most, "EX", STORED_LIMIT_TOLD_S);
    const checkpoints = await this.deps.records.checkpointsOf(principal);
    const stored = checkpoints.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    if (stored >= most) throw exceeded("stored", this.#quotas.of(principal));
  }

  #takeEnded(principal: string): Iterable<CallId> {
    const ended = this.#ended.get(principal) ?? [];
    this.#ended.delete(principal);
    return ended;
  }

  #remind(): void {
    this.#askForCpu();
    for (const [principal, ended] of this.#ended) this.#forget(principal, [...ended]); // it calls no more
    this.#ended.clear();
  }

  #forget(principal: string, callIds: CallId[]): void {
    this.deps.redis
      .zrem(`${keys.quota(principal)}:calls`, ...callIds)
      .catch((err: unknown) => this.deps.log.debug({ err }, "an ended call holds its place until somebody looks"));
  }

  #askForCpu(): void {
    if (!this.#quotas.countsCpu) return;
    const { redis, log } = this.deps;
    redis
      .set(keys.cpuCounted, "1", "EX", COUNT_CPU_S)
      .catch((err: unknown) => log.debug({ err }, "workers were not asked to count cpu time; they are again soon"));
  }
}

const isUnlimited = (limit: number | null | undefined): limit is null | undefined =>
  limit === null || limit === undefined;
