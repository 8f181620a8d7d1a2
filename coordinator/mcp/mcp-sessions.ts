import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { type CallId, isSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";

const TTL_S = 7 * 86_400;
const MAX_PER_PRINCIPAL = 1_000;

export interface McpSession {
  id: string;
  boundSession: SessionId | undefined;
}

/** The `Mcp-Session-Id`s of 2025-era clients, in Redis: any replica may serve any request of theirs. */
export class McpSessions {
  constructor(private readonly redis: Redis) {}

  async create(principal: string, id: string = randomUUID()): Promise<string> {
    const index = keys.mcpSessions(principal);
    await this.redis.hset(keys.mcpSession(id), { principal });
    await this.redis.expire(keys.mcpSession(id), TTL_S);
    await this.redis.zadd(index, Date.now(), id);
    await this.redis.expire(index, TTL_S);
    const oldest = await this.redis.zrange(index, 0, `${-(MAX_PER_PRINCIPAL + 1)}`);
    for (const old of oldest) await this.delete(old, principal);
    return id;
  }

  /** @returns undefined for an id that is unknown, expired or another principal's */
  async find(id: string, principal: string): Promise<McpSession | undefined> {
    const key = keys.mcpSession(id);
    const index = keys.mcpSessions(principal);
    const [fields] = await Promise.all([
      this.redis.hmget(key, "principal", "session"),
      this.redis.expire(key, TTL_S),
      this.redis.zadd(index, "XX", Date.now(), id),
      this.redis.expire(index, TTL_S),
    ]);
    const [owner, bound] = fields;
    if (owner !== principal) return undefined;
    return { id, boundSession: bound && isSessionId(bound) ? bound : undefined };
  }

  async delete(id: string, principal: string): Promise<void> {
    await this.redis.del(keys.mcpSession(id));
    await this.redis.zrem(keys.mcpSessions(principal), id);
  }

  /** Remembers which call a JSON-RPC request made, so that `notifications/cancelled` finds it from any replica. */
  async note(id: string, requestId: string | number, callId: string): Promise<void> {
    await this.redis.hset(keys.mcpSession(id), requestField(requestId), callId);
  }

  async forget(id: string, requestId: string | number): Promise<void> {
    await this.redis.hdel(keys.mcpSession(id), requestField(requestId));
  }

  async callOf(id: string, requestId: string | number): Promise<CallId | undefined> {
    return ((await this.redis.hget(keys.mcpSession(id), requestField(requestId))) as CallId | null) ?? undefined;
  }
}

/** JSON-RPC's 1 and "1" are two ids. */
const requestField = (requestId: string | number): string => `r:${JSON.stringify(requestId)}`;
