import type { Redis } from "ioredis";
import { closeSession, createSession } from "../../shared/catalog/index.ts";
import { type CheckpointRecord, checkpointFields, noCheckpoint } from "../../shared/checkpoint-record.ts";
import { ToolFailure } from "../../shared/failure.ts";
import {
  type CallId,
  type CheckpointId,
  isCheckpointId,
  newCallId,
  newCheckpointId,
  newSessionId,
  type SessionId,
} from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Placement } from "../../shared/redis/placement.ts";
import { defineScript } from "../../shared/redis/script-runner.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import { inSpan } from "../../shared/tracing/in-span.ts";
import type { TraceContext } from "../../shared/tracing/trace-context.ts";
import type { Past } from "../audit/past.ts";
import type { Quotas } from "../quotas/quotas.ts";
import { hashArguments } from "./arguments-hash.ts";
import type { CallWatcher } from "./call-watcher.ts";
import type { Doorbells } from "./doorbells.ts";
import type { MemoryGuard } from "./memory-guard.ts";

const CREATION_KEY_TTL_S = 86_400;

export interface Opened {
  sessionId: SessionId;
  callId: CallId;
  /** Which of the requests that asked for the call this one is, from 1. */
  ask: number;
}

/** Makes session records and puts them in the line for a worker. */
export class SessionOpener {
  readonly #records: Records;
  readonly #holdKey;

  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      placement: Placement;
      watcher: CallWatcher;
      doorbells: Doorbells;
      memory: MemoryGuard;
      quotas: Quotas;
      past: Pick<Past, "checkpoints">;
      metrics: { placementRefused(): void };
    },
    private readonly maxWaiting: number,
  ) {
    this.#records = new Records(deps.redis);
    this.#holdKey = defineScript(deps.redis, "hold_key");
  }

  /**
   * @param rawArgs `create_session` arguments, checked
   * @throws {ToolFailure} QUOTA_EXCEEDED; NO_CAPACITY when too many sessions wait; IDEMPOTENCY_CONFLICT for a key with other arguments
   */
  async open(
    principal: string,
    rawArgs: Record<string, unknown>,
    waitMs: number,
    parent: TraceContext = "",
  ): Promise<Opened> {
    return await inSpan("submit", { kind: "PRODUCER", parent, attributes: {} }, (trace) =>
      this.#open(principal, rawArgs, { waitMs, trace }, undefined),
    );
  }

  /** @param gone the session that the key stood for and that was closed since */
  async #open(
    principal: string,
    rawArgs: Record<string, unknown>,
    asked: { waitMs: number; trace: TraceContext },
    gone: SessionId | undefined,
  ): Promise<Opened> {
    const { idempotency_key: key, ...args } = createSession.input.parse(rawArgs);
    const argsHash = hashArguments("create_session", args);
    this.deps.memory.admit();
    const sessionId = key ? await this.#heldBy(principal, key, argsHash, gone) : newSessionId();
    if (key && (await this.#records.session(sessionId)))
      return await this.#earlier(principal, rawArgs, asked, sessionId);
    const { redis, scripts, watcher, quotas } = this.deps;
    try {
      await quotas.admitSession(principal, sessionId);
    } catch (error) {
      if (key) await redis.del(keys.creationKey(principal, key));
      throw error;
    }
    await watcher.listen(sessionId);
    const callId = newCallId(sessionId);
    const {
      image = "",
      env = {},
      memory_mb,
      cpus,
      idle_timeout_s,
      durability = "",
      network = "",
      from_checkpoint,
    } = args;
    const checkpoint = from_checkpoint ? await this.#pin(principal, from_checkpoint, sessionId) : "";
    const isNew = await scripts.open(
      sessionId,
      { callId, args: JSON.stringify(args), ...asked, key: "", argsHash },
      {
        ...{ principal, image, memory_mb, cpus, durability, network, checkpoint },
        idle_ms: idle_timeout_s * 1000,
        env: JSON.stringify(env),
      },
    );
    if (!isNew) return await this.#earlier(principal, rawArgs, asked, sessionId);
    if ((await this.enqueue(sessionId, principal)) < 0) {
      await this.refuse(sessionId, principal, "Too many sessions wait for a worker already");
      if (key) await redis.del(keys.creationKey(principal, key));
    }
    return { sessionId, callId, ask: 1 };
  }

  /** Gives the session that is about to be opened a checkpoint of its own, with what another one holds. */
  async #pin(principal: string, from: string, sid: SessionId): Promise<CheckpointId> {
    const found = isCheckpointId(from) ? await this.#findCheckpoint(principal, from) : undefined;
    if (found?.principal !== principal) throw noCheckpoint(from);
    const { redis, scripts } = this.deps;
    const id = newCheckpointId(sid);
    await redis.zadd(keys.allCheckpoints, Date.now(), id);
    await scripts.pinCheckpoint(sid, id, checkpointFields({ ...found, id, sessionId: sid, name: "", covered: 0 }));
    return id;
  }

  /** Also one that a Redis knew which lost everything. */
  async #findCheckpoint(principal: string, id: CheckpointId): Promise<CheckpointRecord | undefined> {
    const known = await this.#records.checkpoint(id);
    return known ?? (await this.deps.past.checkpoints(principal, { id, limit: 1 }))[0];
  }

  /** @param epoch above 0 where it had a worker before @returns the position in the line, 0 when a worker has the session, -1 when the line is full */
  async enqueue(sid: SessionId, principal: string, epoch = 0): Promise<number> {
    const position = await this.deps.placement.enqueue(sid, principal, this.maxWaiting, {
      isReturning: epoch > 0,
      weight: this.deps.quotas.weightOf(principal),
    });
    if (position > 0) this.deps.doorbells.ringPlacement();
    return position;
  }

  /** Ends a session that no worker has (any more): its calls fail with NO_CAPACITY. */
  async refuse(sid: SessionId, principal: string, why: string, epoch = 0): Promise<void> {
    const hint = "Try again later, or close sessions that are no longer needed.";
    const failure = new ToolFailure("NO_CAPACITY", why, { hint }).toRecord();
    const isRefused = await this.deps.scripts.release(sid, epoch, { outcome: JSON.stringify({ failure }) });
    if (isRefused && epoch === 0) this.deps.metrics.placementRefused();
    await this.deps.redis.zrem(keys.principalSessions(principal), sid);
  }

  /** @returns false when a worker has claimed the session meanwhile */
  async release({ id, principal, epoch }: SessionRecord): Promise<boolean> {
    const outcome = JSON.stringify({
      failure: new ToolFailure("SESSION_NOT_FOUND", "The session was closed").toRecord(),
    });
    const isReleased = await this.deps.scripts.release(id, epoch, { outcome });
    if (isReleased) await this.deps.redis.zrem(keys.principalSessions(principal), id);
    return isReleased;
  }

  /** Ends a session that turned out not to be needed, whether a worker has it already or not. */
  async discard(sid: SessionId, principal: string): Promise<void> {
    const outcome = JSON.stringify({ failure: new ToolFailure("CANCELLED", "Not needed").toRecord() });
    await this.deps.redis.zrem(keys.principalSessions(principal), sid);
    if (await this.deps.scripts.release(sid, 0, { outcome })) return;
    const close = { tool: closeSession.name, class: "control", mutates: true, waitMs: 0, maxDepth: 1_000 } as const;
    const args = JSON.stringify({ session_id: sid });
    await this.deps.scripts.submit(sid, {
      ...close,
      callId: newCallId(sid),
      principal,
      args,
      argsHash: "",
      key: "",
      label: "",
    });
  }

  /** The session that a key stands for: a new one, or the one that an earlier call with it made or is about to make. */
  async #heldBy(principal: string, key: string, argsHash: string, gone: SessionId | undefined): Promise<SessionId> {
    const value = (sid: SessionId): string => `${sid} ${argsHash}`;
    const replaced = gone ? value(gone) : "";
    const redisKey = keys.creationKey(principal, key);
    const held = (await this.#holdKey(redisKey, replaced, value(newSessionId()), CREATION_KEY_TTL_S)) as string;
    const [sid, hash] = held.split(" ");
    if (hash === argsHash) return sid as SessionId;
    throw new ToolFailure("IDEMPOTENCY_CONFLICT", `idempotency_key "${key}" was used with other arguments before`, {
      hint: "Use a new key for a new session.",
    });
  }

  /** The key's session stands already; where it was closed since, the key makes a new one. */
  async #earlier(
    principal: string,
    args: Record<string, unknown>,
    asked: { waitMs: number; trace: TraceContext },
    sid: SessionId,
  ): Promise<Opened> {
    const session = await this.#records.session(sid);
    if (session) {
      const ask = await this.deps.redis.hincrby(keys.call(sid, session.createCall), "asked", 1);
      return { sessionId: sid, callId: session.createCall, ask };
    }
    return await this.#open(principal, args, asked, sid);
  }
}
