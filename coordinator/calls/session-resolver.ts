import type { Redis } from "ioredis";
import { ToolFailure } from "../../shared/failure.ts";
import { isSessionId, type SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { defineScript } from "../../shared/redis/script-runner.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { Caller } from "./caller.ts";
import type { SessionOpener } from "./session-opener.ts";

export interface Resolved {
  sessionId: SessionId;
  /** News for the caller: their default session expired or was closed, and this is a fresh one. */
  notice?: string;
}

/** The one answer for an id that is unknown, expired or somebody else's. */
export const sessionNotFound = (id: string): ToolFailure =>
  new ToolFailure("SESSION_NOT_FOUND", `There is no session "${id}"; it may have expired`, {
    hint: "Make one with create_session, or leave session_id out to use your default session.",
  });

/** The one answer for a process that nobody knows or that is somebody else's. */
export const noProcess = (id: string): ToolFailure =>
  new ToolFailure("NOT_FOUND", `There is no process "${id}"; finished ones are kept for an hour`, {
    hint: "list_processes shows a session's processes.",
  });

const MADE_ANEW =
  "Your earlier default session expired or was closed; this is a fresh one without its files and processes.";

/** Finds the session of a call: its argument, else the one bound to the `Mcp-Session-Id`, else the principal's default. */
export class SessionResolver {
  readonly #bind;

  constructor(private readonly deps: { redis: Redis; records: Records; opener: SessionOpener }) {
    this.#bind = defineScript(deps.redis, "bind");
  }

  /** @throws {ToolFailure} SESSION_NOT_FOUND for a malformed id; whether it exists is checked by whoever uses it */
  async resolve(named: string | undefined, caller: Caller): Promise<Resolved> {
    if (named !== undefined) {
      if (!isSessionId(named)) throw sessionNotFound(named);
      return { sessionId: named };
    }
    const bound = await this.bound(caller);
    return bound ? { sessionId: bound } : { sessionId: await this.#make(caller, undefined) };
  }

  /** The session of calls that name none, if there is one yet. */
  async bound(caller: Caller): Promise<SessionId | undefined> {
    return caller.mcpSession ? caller.mcpSession.boundSession : await this.#default(caller.principal);
  }

  /** The bound session `gone` has expired: makes and binds another. */
  async replace(gone: SessionId, caller: Caller): Promise<Resolved> {
    return { sessionId: await this.#make(caller, gone), notice: MADE_ANEW };
  }

  /** The record of a session of this principal. */
  async record(named: string | undefined, caller: Caller): Promise<SessionRecord> {
    const { sessionId } = await this.resolve(named, caller);
    const session = await this.deps.records.session(sessionId);
    if (session?.principal === caller.principal) return session;
    if (named !== undefined) throw sessionNotFound(named);
    const { sessionId: fresh } = await this.replace(sessionId, caller);
    const made = await this.deps.records.session(fresh);
    if (!made) throw sessionNotFound(fresh);
    return made;
  }

  async #default(principal: string): Promise<SessionId | undefined> {
    return ((await this.deps.redis.hget(keys.principal(principal), "session")) as SessionId | null) ?? undefined;
  }

  /** Whoever binds first wins; the loser's session is closed again, and it uses the winner's. */
  async #make(caller: Caller, gone: SessionId | undefined): Promise<SessionId> {
    const { opener } = this.deps;
    const { sessionId } = await opener.open(caller.principal, {}, 0);
    const owner = caller.mcpSession ? keys.mcpSession(caller.mcpSession.id) : keys.principal(caller.principal);
    const bound = (await this.#bind(owner, gone ?? "", sessionId)) as SessionId;
    if (bound !== sessionId) await opener.discard(sessionId, caller.principal);
    if (caller.mcpSession) caller.mcpSession.boundSession = bound;
    return bound;
  }
}
