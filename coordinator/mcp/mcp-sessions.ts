import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { type CallId, isSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";

const TTL_S = 7 * 86_400;
const MAX_PER_PRINCIPAL = 1_000;

export interface McpSession {
  id: string;
  protocolVersion: string;
  boundSession: SessionId | undefined;
}

/** The `Mcp-Session-Id`s of 2025-era clients, in Redis: any replica may serve any request of theirs. */
export class McpSessions {
  constructor(private readonly redis: Redis) {}

  /** @param protocolVersion the one that `initialize` agreed on */
  async create(principal: string, protocolVersion: string): Promise<string> {
    const id = randomUUID();
    const index = keys.mcpSessions(principal);
    await this.redis.hset(keys.mcpSession(id), { principal, protocolVersion });
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
    const [fields] = await Promise.all([
      this.redis.hmget(key, "principal", "protocolVersion", "session"),
      this.redis.expire(key, TTL_S),
    ]);
    const [owner, protocolVersion, bound] = fields;
    if (owner !== principal) return undefined;
    return {
      id,
      protocolVersion: protocolVersion ?? "",
      boundSession: bound && isSessionId(bound) ? bound : undefined,
    };
  }

  async delete(id: string, principal: string): Promise<void> {
    await this.redis.del(keys.mcpSession(id));
    await this.redis.zrem(keys.mcpSessions(principal), id);
  }

  /** Remembers which call a JSON-RPC request made, so that `notifications/cancelled` finds it from any replica. */
  async note(id: string, requestId: string | number, callId: string): Promise<void> {
    await this.redis.hset(keys.mcpSession(id), `r:${requestId}`, callId);
  }

  async forget(id: string, requestId: string | number): Promise<void> {
    await this.redis.hdel(keys.mcpSession(id), `r:${requestId}`);
  }

  async callOf(id: string, requestId: string | number): Promise<CallId | undefined> {
    return ((await this.redis.hget(keys.mcpSession(id), `r:${requestId}`)) as CallId | null) ?? undefined;
  }
}
