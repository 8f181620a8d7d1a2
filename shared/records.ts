import type { Redis } from "ioredis";
import { type CallRecord, type CallState, type CallSummary, SUMMARY, toCall, toSummary } from "./call-record.ts";
import { type CheckpointRecord, toCheckpoint } from "./checkpoint-record.ts";
import { type CallId, type CheckpointId, type ProcessId, processIdOf, type SessionId, sessionOf } from "./ids.ts";
import { type OutputEntry, type ProcessRecord, toOutput, toProcess } from "./process-record.ts";
import { keys } from "./redis/keys.ts";
import { type SessionRecord, toSession } from "./session-record.ts";

/** A checkpoint's id stands in indexes before its record does, for no longer than this. */
const INDEXED_AHEAD_MS = 60_000;

/** Reads what the scripts wrote. Whoever asks checks the principal. */
export class Records {
  constructor(private readonly redis: Redis) {}

  async session(id: SessionId): Promise<SessionRecord | undefined> {
    const session = await this.openOrClosedSession(id);
    return session?.state === "closed" ? undefined : session;
  }

  /** Also one that was closed within the last minute. */
  async openOrClosedSession(id: SessionId): Promise<SessionRecord | undefined> {
    const hash = await this.redis.hgetall(keys.session(id));
    return hash.state ? toSession(id, hash) : undefined;
  }

  async call(sid: SessionId, id: CallId): Promise<CallRecord | undefined> {
    const hash = await this.redis.hgetall(keys.call(sid, id));
    return hash.state ? toCall(id, hash) : undefined;
  }

  /** Undefined for one that was deleted, too. */
  async checkpoint(id: CheckpointId): Promise<CheckpointRecord | undefined> {
    const hash = await this.redis.hgetall(keys.checkpoint(sessionOf(id), id));
    return hash.layers && hash.deleted !== "1" ? toCheckpoint(id, hash) : undefined;
  }

  /** What the session comes back from. */
  async newestCheckpoint({
    id,
    checkpoint,
  }: Pick<SessionRecord, "id" | "checkpoint">): Promise<CheckpointRecord | undefined> {
    if (!checkpoint) return undefined;
    const hash = await this.redis.hgetall(keys.checkpoint(id, checkpoint));
    return hash.layers ? toCheckpoint(checkpoint, hash) : undefined;
  }

  /** Newest first. */
  async checkpoints(sid: SessionId): Promise<CheckpointRecord[]> {
    const ids = (await this.redis.zrevrange(keys.checkpoints(sid), 0, -1)) as CheckpointId[];
    const found = await Promise.all(ids.map((id) => this.checkpoint(id)));
    return found.filter((checkpoint) => checkpoint !== undefined);
  }

  /** A principal's, newest first. Takes out of its index what is gone; what is new there may be about to get its record. */
  async checkpointsOf(principal: string, sid?: SessionId): Promise<CheckpointRecord[]> {
    const index = keys.principalCheckpoints(principal);
    const ids = (await this.redis.zrevrange(index, 0, -1)) as CheckpointId[];
    const wanted = sid ? ids.filter((id) => sessionOf(id) === sid) : ids;
    const found = await Promise.all(wanted.map(async (id) => ({ id, checkpoint: await this.checkpoint(id) })));
    const missing = found.filter(({ checkpoint }) => !checkpoint).map(({ id }) => id);
    const before = Date.now() - INDEXED_AHEAD_MS;
    const times = missing.length > 0 ? await this.redis.zmscore(index, ...missing) : [];
    const gone = missing.filter((_, i) => Number(times[i] ?? 0) < before);
    if (gone.length > 0) await this.redis.zrem(index, ...gone);
    return found.flatMap(({ checkpoint }) => (checkpoint?.principal === principal ? [checkpoint] : []));
  }

  async process(sid: SessionId, id: ProcessId): Promise<ProcessRecord | undefined> {
    const hash = await this.redis.hgetall(keys.process(sid, id));
    return hash.status ? toProcess(id, hash) : undefined;
  }

  /** Cheap, however large the call is. */
  async callState(sid: SessionId, id: CallId): Promise<CallState | undefined> {
    return ((await this.redis.hget(keys.call(sid, id), "state")) as CallState | null) ?? undefined;
  }

  /** Newest first, without arguments and outcomes: these may be large. */
  async calls(sid: SessionId, limit: number): Promise<CallSummary[]> {
    const ids = (await this.redis.zrevrange(keys.calls(sid), 0, limit - 1)) as CallId[];
    const found = await Promise.all(
      ids.map(async (id) => {
        const values = await this.redis.hmget(keys.call(sid, id), ...SUMMARY);
        return toSummary(id, Object.fromEntries(SUMMARY.map((name, i) => [name, values[i] ?? ""])));
      }),
    );
    return found.filter((call) => call.state);
  }

  /** What lists show of a call, such as the beginning of its command. */
  async label(sid: SessionId, id: CallId): Promise<string> {
    return (await this.redis.hget(keys.call(sid, id), "label")) ?? "";
  }

  /** Newest first. */
  async processes(sid: SessionId, limit: number): Promise<ProcessRecord[]> {
    const ids = (await this.redis.zrevrange(keys.processes(sid), 0, limit - 1)) as ProcessId[];
    const found = await Promise.all(ids.map((id) => this.process(sid, id)));
    return found.filter((process) => process !== undefined);
  }

  /** Processes that the records call running, whichever call they belong to. */
  async openProcesses(sid: SessionId): Promise<ProcessRecord[]> {
    const ids = (await this.redis.smembers(keys.runningProcesses(sid))) as ProcessId[];
    const found = await Promise.all(ids.map((id) => this.process(sid, id)));
    return found.filter((process) => process !== undefined);
  }

  async detachedCalls(sid: SessionId): Promise<CallId[]> {
    return (await this.redis.smembers(keys.detached(sid))) as CallId[];
  }

  async runningProcesses(sid: SessionId): Promise<number> {
    return await this.redis.scard(keys.runningProcesses(sid));
  }

  /** The call's position in its lane, from 1; 0 when it is not there. */
  async lanePosition(sid: SessionId, id: CallId): Promise<number> {
    return ((await this.redis.lpos(keys.lane(sid), id)) ?? -1) + 1;
  }

  /** Which of the session's calls it is, from 1, as long as the first of them is kept; 0 when it is not there. */
  async callSequence(sid: SessionId, id: CallId): Promise<number> {
    return ((await this.redis.zrank(keys.calls(sid), id)) ?? -1) + 1;
  }

  async openCalls(sid: SessionId): Promise<number> {
    return await this.redis.llen(keys.lane(sid));
  }

  /** The id of the last entry, "0" when there is none. */
  async lastOutputId(sid: SessionId, callId: CallId): Promise<string> {
    const [last] = await this.redis.xrevrange(keys.output(sid, processIdOf(callId)), "+", "-", "COUNT", 1);
    return last?.[0] ?? "0";
  }

  /** Entries with ids above `after` (all without it), at most `count`. */
  async output(sid: SessionId, callId: CallId, after: string | undefined, count: number): Promise<OutputEntry[]> {
    const from = after ? `(${after}` : "-";
    const key = keys.output(sid, processIdOf(callId));
    return toOutput(await this.redis.xrangeBuffer(key, from, "+", "COUNT", count));
  }

  /** The last `count` entries up to and including `last`, newest first. */
  async outputUpTo(sid: SessionId, callId: CallId, last: string, count: number): Promise<OutputEntry[]> {
    const key = keys.output(sid, processIdOf(callId));
    return toOutput(await this.redis.xrevrangeBuffer(key, last, "-", "COUNT", count));
  }
}
