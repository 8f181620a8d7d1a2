import type { Redis } from "ioredis";
import { type CallState, isFinalState } from "../../shared/call-record.ts";
import { type CallId, type SessionId, sessionOf } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";

/** What was admitted and has no record is on its way to one for so long; then whoever admitted it died in between. */
const GRACE_MS = 30_000;

/**
 * Finds in the records which of a principal's counted calls and sessions are over: whoever should have said so died, or is
 * another replica and has not yet. Asked only at a limit, where the limit bounds how many there are.
 */
export class EndedPlaces {
  constructor(private readonly redis: Redis) {}

  async calls(principal: string): Promise<CallId[]> {
    const states = (id: CallId): Promise<string | null> => this.redis.hget(keys.call(sessionOf(id), id), "state");
    return await this.#over<CallId>(`${keys.quota(principal)}:calls`, states, (state) =>
      isFinalState(state as CallState),
    );
  }

  async sessions(principal: string): Promise<SessionId[]> {
    const states = (sid: SessionId): Promise<string | null> => this.redis.hget(keys.session(sid), "state");
    return await this.#over<SessionId>(keys.principalSessions(principal), states, (state) => state === "closed");
  }

  async #over<Id extends string>(
    index: string,
    stateOf: (id: Id) => Promise<string | null>,
    isOver: (state: string) => boolean,
  ): Promise<Id[]> {
    const entries = await this.redis.zrange(index, "0", "-1", "WITHSCORES");
    const [seconds] = await this.redis.time();
    const oldest = Number(seconds) * 1_000 - GRACE_MS;
    const ids = entries.filter((_, i) => i % 2 === 0) as Id[];
    const over = await Promise.all(
      ids.map(async (id, i) => {
        const state = await stateOf(id);
        return state ? isOver(state) : Number(entries[2 * i + 1]) < oldest;
      }),
    );
    return ids.filter((_, i) => over[i]);
  }
}
