import { createHash, randomUUID } from "node:crypto";
import type { RequestId } from "@modelcontextprotocol/server";
import type { Redis } from "ioredis";
import { type CallId, isSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";

const TTL_S = 7 * 86_400;
const MAX_PER_PRINCIPAL = 1_000;
/** Longer than any request waits for its answer, placement included. */
const OPEN_S = 300;
/** What a client gets to come back for an answer that was sent and did not arrive. */
const ANSWERED_S = 60;
const ANSWERED = " answered";

/** What of a JSON-RPC request is needed to answer it once more. */
export interface NotedRequest {
  requestId: RequestId;
  progressToken?: string | number;
  /** By the name it was called by. */
  tool: string;
}

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

  /** Remembers which call a JSON-RPC request made, so that a cancel and a resumed stream find it from any replica. */
  async note(id: string, request: NotedRequest, callId: CallId): Promise<void> {
    await Promise.all([
      this.redis.set(keys.mcpRequest(id, requestName(request.requestId)), callId, "EX", OPEN_S),
      this.redis.set(keys.mcpCall(id, callId), JSON.stringify(request), "EX", OPEN_S),
    ]);
  }

  /** The request was answered: a cancel of it means nothing any more. */
  async answered(id: string, requestId: RequestId, callId: CallId): Promise<void> {
    await this.redis.set(keys.mcpRequest(id, requestName(requestId)), `${callId}${ANSWERED}`, "EX", ANSWERED_S, "XX");
  }

  /** The call that a request made and that was not answered yet. */
  async openCallOf(id: string, requestId: RequestId): Promise<CallId | undefined> {
    const noted = await this.redis.get(keys.mcpRequest(id, requestName(requestId)));
    return noted && !noted.endsWith(ANSWERED) ? (noted as CallId) : undefined;
  }

  async callOf(id: string, requestId: RequestId): Promise<CallId | undefined> {
    const noted = await this.redis.get(keys.mcpRequest(id, requestName(requestId)));
    return noted ? (noted.replace(ANSWERED, "") as CallId) : undefined;
  }

  async requestOf(id: string, callId: CallId): Promise<NotedRequest | undefined> {
    const noted = await this.redis.get(keys.mcpCall(id, callId));
    return noted ? (JSON.parse(noted) as NotedRequest) : undefined;
  }
}

/** JSON-RPC's 1 and "1" are two ids, and a client may choose very long ones. */
const requestName = (requestId: RequestId): string => {
  const name = JSON.stringify(requestId);
  return name.length <= 64 ? name : createHash("sha256").update(name).digest("base64url");
};
