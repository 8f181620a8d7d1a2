import type { Redis } from "ioredis";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, isCallId, processIdOf, type SessionId, sessionOf } from "../../shared/ids.ts";
import {
  type CallRecord,
  type CallSummary,
  isFinalState,
  type Records,
  type SessionRecord,
} from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
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
    },
  ) {}

  async getSession(args: Arguments<object>, caller: Caller): Promise<Structured> {
    return await this.#describe(await this.deps.resolver.record(args.session_id, caller));
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
    return {
      sessions: await Promise.all(sessions.map((session) => this.#describe(session))),
      truncated: ids.length > args.limit,
    };
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

  async listCalls(args: Arguments<{ limit: number }>, caller: Caller): Promise<Structured> {
    const session = await this.deps.resolver.record(args.session_id, caller);
    const calls = await this.deps.records.calls(session.id, args.limit + 1);
    return { calls: calls.slice(0, args.limit).map(describeCall), truncated: calls.length > args.limit };
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

const noCall = (id: string): ToolFailure =>
  new ToolFailure("NOT_FOUND", `There is no call "${id}"; calls are kept for an hour after their end`, {
    hint: "list_calls shows a session's calls.",
  });

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
