import type { Redis } from "ioredis";
import { type CallRecord, type CallSummary, isFinalState } from "../../shared/call-record.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, isCallId, processIdOf, type SessionId, sessionOf } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { Past } from "../audit/past.ts";
import type { CallWaiter } from "../calls/call-waiter.ts";
import type { Caller } from "../calls/caller.ts";
import type { SessionResolver } from "../calls/session-resolver.ts";
import { readOutput } from "./output-cursor.ts";

type Structured = Record<string, unknown>;
type Arguments<T> = T & { session_id?: string };
const time = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

/** The tools of sessions and calls that any coordinator answers from Redis alone. */
export class RecordTools {
  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      records: Records;
      resolver: SessionResolver;
      waiter: CallWaiter;
      past: Past;
    },
  ) {}

  async getSession(args: Arguments<object>, caller: Caller): Promise<Structured> {
    const { resolver, past } = this.deps;
    try {
      return await this.#describe(await resolver.record(args.session_id, caller));
    } catch (error) {
      const kept = isGone(error) && args.session_id && (await past.session(caller.principal, args.session_id));
      if (!kept) throw error;
      return kept;
    }
  }

  async listSessions(args: Arguments<{ limit: number }>, caller: Caller): Promise<Structured> {
    const { redis, records } = this.deps;
    if (args.session_id !== undefined) return { sessions: [await this.getSession(args, caller)] };
    const index = keys.principalSessions(caller.principal);
    const ids = (await redis.zrevrange(index, 0, args.limit)) as SessionId[];
    const found = await Promise.all(ids.map(async (id) => ({ id, session: await records.session(id) })));
    const gone = found.filter(({ session }) => !session).map(({ id }) => id);
    if (gone.length > 0) await redis.zrem(index, ...gone);
    const sessions = found.flatMap(({ session }) => (session ? [session] : [])).slice(0, args.limit);
    const isKnown = async (id: string): Promise<boolean> => (await records.session(id as SessionId)) !== undefined;
    const lost = await this.deps.past.lostSessions(caller.principal, isKnown, args.limit);
    const described = await Promise.all(sessions.map((session) => this.#describe(session)));
    return { sessions: [...described, ...lost].slice(0, args.limit), truncated: ids.length > args.limit };
  }

  async getCall(
    args: Arguments<{ call_id: string; wait_ms: number; cursor?: string }>,
    caller: Caller,
  ): Promise<Structured> {
    const { records, waiter } = this.deps;
    const { sid, callId } = await this.#own(args.call_id, caller);
    let call = await records.call(sid, callId);
    if (call && !isFinalState(call.state) && args.wait_ms > 0) {
      const until = caller.receivedAt + args.wait_ms;
      const { progress, signal } = caller;
      await waiter.wait(sid, callId, { until, isNew: false, progress, signal, onStillQueued: async () => {} });
      call = await records.call(sid, callId);
    }
    if (!call) throw noCall(args.call_id);
    return { ...describeCall(call), ...ended(call), ...(await this.#output(sid, call, args.cursor)) };
  }

  /** What the records still have of a session, and what Postgres has besides: of all the caller's where none is named. */
  async listCalls({ session_id: named, limit }: Arguments<{ limit: number }>, caller: Caller): Promise<Structured> {
    const { resolver, records, past } = this.deps;
    let gone: unknown;
    const session = await resolver.record(named, caller).catch((error: unknown) => {
      if (!isGone(error) || named === undefined) throw error;
      gone = error;
    });
    const recorded = session ? (await records.calls(session.id, limit + 1)).map(describeCall) : [];
    const isMoreWanted = recorded.length <= limit;
    const kept = isMoreWanted ? await past.calls(caller.principal, named, limit + 1) : [];
    if (gone !== undefined && kept.length === 0) throw gone;
    const known = new Set(recorded.map(({ call_id }) => call_id));
    const calls = [...recorded, ...kept.filter(({ call_id }) => !known.has(call_id))].sort(byTimeDown);
    return { calls: calls.slice(0, limit), truncated: calls.length > limit };
  }

  async #own(id: string, caller: Caller): Promise<{ sid: SessionId; callId: CallId }> {
    if (!isCallId(id)) throw noCall(id);
    const sid = sessionOf(id);
    if (!(await this.deps.scripts.touch(sid, caller.principal))) throw noCall(id);
    return { sid, callId: id };
  }

  async #output(sid: SessionId, call: CallRecord, cursor: string | undefined): Promise<Structured> {
    if (cursor === undefined || !call.hasProcess) return {};
    const { records } = this.deps;
    const process = await records.process(sid, processIdOf(call.id));
    const page = await readOutput(records, sid, call.id, cursor, process?.status !== "running");
    return { output: page.data.toString(), next_cursor: page.nextCursor, has_more: page.hasMore };
  }

  async #describe(session: SessionRecord): Promise<Structured> {
    const [callsOpen, processesRunning, checkpoints] = await Promise.all([
      this.deps.records.openCalls(session.id),
      this.deps.records.runningProcesses(session.id),
      this.deps.records.checkpoints(session.id),
    ]);
    return {
      session_id: session.id,
      state: session.state,
      ...(session.workdir ? { workdir: session.workdir, image: session.image } : {}),
      limits: { memory_mb: session.memoryMb, cpus: session.cpus, disk_mb: session.diskMb, pids: session.pids },
      ...(session.owner ? { worker: session.owner } : {}),
      created_at: time(session.createdAt),
      last_used_at: time(session.lastUsedAt),
      expires_at: time(session.expiresAt),
      calls_open: callsOpen,
      processes_running: processesRunning,
      checkpoints: checkpoints.map(({ id }) => id),
    };
  }
}

const isGone = (error: unknown): boolean => error instanceof ToolFailure && error.code === "SESSION_NOT_FOUND";

const noCall = (id: string): ToolFailure =>
  new ToolFailure("NOT_FOUND", `There is no call "${id}"; calls are kept for an hour after their end`, {
    hint: "list_calls shows a session's calls.",
  });

/** By what ISO 8601 says as text. */
const byTimeDown = ({ submitted_at: a }: Structured, { submitted_at: b }: Structured): number =>
  String(b).localeCompare(String(a));

const describeCall = (call: CallSummary): Structured => ({
  call_id: call.id,
  tool: call.tool,
  state: call.state,
  ...(call.hasProcess ? { process_id: processIdOf(call.id) } : {}),
  submitted_at: time(call.submittedAt),
  ...(call.startedAt ? { started_at: time(call.startedAt) } : {}),
  ...(call.endedAt ? { ended_at: time(call.endedAt) } : {}),
});

const ended = ({ outcome, notice }: CallRecord): Structured => ({ ...outcome, ...(notice ? { notice } : {}) });
