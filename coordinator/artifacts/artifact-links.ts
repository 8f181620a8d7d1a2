import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Redis } from "ioredis";
import { ToolFailure } from "../../shared/failure.ts";
import { isSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";

export type LinkMethod = "GET" | "PUT";

/** What a signed URL allows its bearer. */
export interface Grant {
  method: LinkMethod;
  sessionId: SessionId;
  path: string;
  principal: string;
}

const PREFIX = "art_";

/** The session and path in one word, so that an artifact can be named alone. It is no secret and grants nothing. */
export const artifactId = (sid: string, path: string): string =>
  `${PREFIX}${Buffer.from(`${sid} ${path}`).toString("base64url")}`;

/** @returns undefined for what is no artifact's id */
export const parseArtifactId = (id: string): { sessionId: SessionId; path: string } | undefined => {
  if (!id.startsWith(PREFIX)) return undefined;
  const text = Buffer.from(id.slice(PREFIX.length), "base64url").toString();
  const end = text.indexOf(" ");
  const sid = text.slice(0, end);
  return end > 0 && isSessionId(sid) ? { sessionId: sid, path: text.slice(end + 1) } : undefined;
};

/** Signs URLs that stand for one file and one method for a while, and checks them. All replicas share the key, in Redis. */
export class ArtifactLinks {
  constructor(
    private readonly redis: Redis,
    private readonly options: { publicUrl: () => string; ttlMs: number },
  ) {}

  /** @returns the URL and when it ends, as tools show them */
  async sign(grant: Grant): Promise<{ url: string; expires_at: string }> {
    const expiresAt = Date.now() + this.options.ttlMs;
    const { method, sessionId, path, principal } = grant;
    const payload = Buffer.from(JSON.stringify([method, sessionId, path, principal, expiresAt])).toString("base64url");
    const token = `${payload}.${await this.#mac(payload)}`;
    return { url: `${this.options.publicUrl()}/artifacts/${token}`, expires_at: new Date(expiresAt).toISOString() };
  }

  /** @throws {ToolFailure} PERMISSION_DENIED for a URL that is forged, over, or for another method. Fails closed */
  async verify(token: string, method: LinkMethod): Promise<Grant> {
    const [payload = "", mac = ""] = token.split(".");
    const expected = Buffer.from(await this.#mac(payload));
    const given = Buffer.from(mac);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw denied("is not one of ours");
    const [allowed, sessionId, path, principal, expiresAt] = JSON.parse(
      Buffer.from(payload, "base64url").toString(),
    ) as [LinkMethod, SessionId, string, string, number];
    if (allowed !== method) throw denied(`allows ${allowed} only`);
    if (Date.now() > expiresAt) throw denied("is over");
    return { method, sessionId, path, principal };
  }

  async #mac(payload: string): Promise<string> {
    await this.redis.set(keys.signingKey, randomBytes(32).toString("hex"), "NX");
    const key = await this.redis.get(keys.signingKey);
    if (!key) throw new ToolFailure("STORE_UNAVAILABLE", "The key that signs URLs cannot be read");
    return createHmac("sha256", key).update(payload).digest("base64url");
  }
}

const denied = (why: string): ToolFailure =>
  new ToolFailure("PERMISSION_DENIED", `This URL ${why}`, { hint: "get_artifact and put_artifact give a fresh one." });
