import type { Redis } from "ioredis";
import { closeSession, createSession } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, newCallId, newSessionId, type SessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Placement } from "../../shared/redis/placement.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import { hashArguments } from "./arguments-hash.ts";
import type { CallWatcher } from "./call-watcher.ts";
import type { Doorbells } from "./doorbells.ts";

const CREATION_KEY_TTL_S = 86_400;

export interface Opened {
  sessionId: SessionId;
  callId: CallId;
}

/** Makes session records and puts them in the line for a worker. */
export class SessionOpener {
  readonly #records: Records;

  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      placement: Placement;
      watcher: CallWatcher;
      doorbells: Doorbells;
    },
    private readonly maxWaiting: number,
  ) {
    this.#records = new Records(deps.redis);
  }

  /**
   * @param rawArgs `create_session` arguments, checked
   * @throws {ToolFailure} NO_CAPACITY when too many sessions wait; IDEMPOTENCY_CONFLICT for a key with other arguments
   */
  async open(principal: string, rawArgs: Record<string, unknown>, waitMs: number): Promise<Opened> {
    const { idempotency_key: key, ...args } = createSession.input.parse(rawArgs);
    const argsHash = hashArguments("create_session", args);
    const sessionId = newSessionId();
    const earlier = key ? await this.#bindKey(principal, key, sessionId, argsHash) : undefined;
    if (earlier) return earlier;
    const callId = newCallId(sessionId);
    const { redis, scripts, watcher } = this.deps;
    await redis.zadd(keys.principalSessions(principal), Date.now(), sessionId);
    await watcher.listen(sessionId);
    const { env = {}, memory_mb, cpus, idle_timeout_s } = args;
    await scripts.open(
      sessionId,
      { callId, args: JSON.stringify(args), waitMs, key: "", argsHash },
      { principal, memory_mb, cpus, idle_ms: idle_timeout_s * 1000, env: JSON.stringify(env) },
    );
    if ((await this.enqueue(sessionId, principal)) < 0) {
      await this.refuse(sessionId, principal, "Too many sessions wait for a worker already");
      if (key) await redis.del(keys.creationKey(principal, key));
    }
    return { sessionId, callId };
  }

  /** @returns the position in the line, 0 when a worker has the session, -1 when the line is full */
  async enqueue(sid: SessionId, principal: string): Promise<number> {
    const position = await this.deps.placement.enqueue(sid, principal, this.maxWaiting);
    if (position > 0) this.deps.doorbells.ringPlacement(sid);
    return position;
  }

  /** Ends a session that no worker has (any more): its calls fail with NO_CAPACITY. */
  async refuse(sid: SessionId, principal: string, why: string, epoch = 0): Promise<void> {
    const hint = "Try again later, or close sessions that are no longer needed.";
    const failure = new ToolFailure("NO_CAPACITY", why, { hint }).toRecord();
    await this.deps.scripts.release(sid, epoch, { outcome: JSON.stringify({ failure }) });
    await this.deps.redis.zrem(keys.principalSessions(principal), sid);
  }

  /** Ends a session that turned out not to be needed, whether a worker has it already or not. */
  async discard(sid: SessionId, principal: string): Promise<void> {
    const outcome = JSON.stringify({ failure: new ToolFailure("CANCELLED", "Not needed").toRecord() });
    await this.deps.redis.zrem(keys.principalSessions(principal), sid);
    if (await this.deps.scripts.release(sid, 0, { outcome })) return;
    const close = { tool: closeSession.name, class: "control", mutates: true, waitMs: 0, maxDepth: 1_000 } as const;
    const args = JSON.stringify({ session_id: sid });
    await this.deps.scripts.submit(sid, { ...close, callId: newCallId(sid), principal, args, argsHash: "", key: "" });
  }

  /** @returns what the key made before; undefined when it is this call's now */
  async #bindKey(principal: string, key: string, sid: SessionId, argsHash: string): Promise<Opened | undefined> {
    const redisKey = keys.creationKey(principal, key);
    const value = `${sid} ${argsHash}`;
    const held = await this.deps.redis.set(redisKey, value, "EX", CREATION_KEY_TTL_S, "NX", "GET");
    if (held === null) return undefined;
    const [first, firstHash] = held.split(" ");
    if (firstHash !== argsHash) {
      throw new ToolFailure("IDEMPOTENCY_CONFLICT", `idempotency_key "${key}" was used with other arguments before`);
    }
    const session = await this.#records.session(first as SessionId);
    if (session) return { sessionId: session.id, callId: session.createCall };
    await this.deps.redis.set(redisKey, value, "EX", CREATION_KEY_TTL_S); // what it made is gone
    return undefined;
  }
}
