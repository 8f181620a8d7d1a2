import type { Redis } from "ioredis";
import { type FailureRecord, ToolFailure } from "./failure.ts";
import { type CallId, type CheckpointId, type ProcessId, processIdOf, type SessionId, sessionOf } from "./ids.ts";
import { keys } from "./redis/keys.ts";
import type { TraceContext } from "./tracing/trace-context.ts";

/**
 * `queued` for a worker, `starting` its container, `ready`, `leaving` (its owner hands it over or back; calls wait),
 * `closing` (takes no calls), `closed` (gone in a minute).
 */
export type SessionState = "queued" | "starting" | "ready" | "leaving" | "closing" | "closed";
export type CallState =
  | "queued"
  | "running"
  | "detached"
  | "done"
  | "failed"
  | "cancelled"
  | "outcome_unknown"
  | "session_reset";
export type ProcessStatus = "running" | "exited" | "timed_out" | "killed" | "lost";

/** How a call ended: a tool's structured result, or its failure. */
export type Outcome = { result: Record<string, unknown> } | { failure: FailureRecord };

export interface SessionRecord {
  id: SessionId;
  principal: string;
  state: SessionState;
  owner: string;
  epoch: number;
  /** `none` or `egress`; empty for its worker's own. */
  network: string;
  /** The image's name; empty while the session waits for a worker and named none. */
  image: string;
  workdir: string;
  memoryMb: number;
  cpus: number;
  diskMb: number;
  pids: number;
  env: Record<string, string>;
  idleMs: number;
  /** Docker's id of its container, and which start of the agent runs in it; empty while there is none. */
  container: string;
  agentBoot: string;
  createdAt: number;
  lastUsedAt: number;
  expiresAt: number;
  createCall: CallId;
  /** `call`, `idle` or `none`; empty for its worker's own. */
  durability: string;
  /** What it comes back from when it is lost; empty for nothing. */
  checkpoint: CheckpointId | "";
  /** Mutating calls that started so far. */
  mutations: number;
  /** Its container may hold what neither a checkpoint nor a loss accounts for. */
  isDirty: boolean;
  /** Numbers of mutating calls whose effects were lost or taken back, both ends included. */
  lost: [from: number, to: number][];
}

export interface CheckpointRecord {
  id: CheckpointId;
  principal: string;
  sessionId: SessionId;
  /** Empty for an automatic one. */
  name: string;
  createdAt: number;
  files: number;
  bytes: number;
  /** That were written for it. */
  storedBytes: number;
  /** Names of its layers in the store, the oldest first, and of all objects that it needs. */
  layers: string[];
  objects: string[];
  /** The agent's scan that it shows. */
  generation: string;
  scan: string;
  /** Number of the last mutating call of its session that it covers. */
  covered: number;
}

export interface CallSummary {
  id: CallId;
  tool: string;
  state: CallState;
  submittedAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  /** It has started, or is to start, a process. */
  hasProcess: boolean;
}

export interface CallRecord extends CallSummary {
  /** Until the call ends. */
  args: string;
  /** Of the session when it started; 0 before. A lower one than the owner's: an earlier owner started it. */
  epoch: number;
  /** When it leaves its lane although it still runs, ms. */
  detachAt: number;
  /** Which of its session's mutating calls it is, from 1; 0 for none. */
  mutation: number;
  trace: TraceContext;
  outcome: Outcome | undefined;
  notice: string | undefined;
}

export interface ProcessRecord {
  id: ProcessId;
  status: ProcessStatus;
  exitCode: number | null;
  signal: string | null;
  durationMs: number | undefined;
  startedAt: number;
  bytes: number;
  /** Output before this offset is no longer kept. */
  evictedBefore: number;
  /** Once it ended: bytes of output, from the start, that stand in a log file in the session. */
  logBytes: number;
  epoch: number;
}

const isFinal = new Set<CallState>(["done", "failed", "cancelled", "outcome_unknown", "session_reset"]);
export const isFinalState = (state: CallState): boolean => isFinal.has(state);

type Hash = Record<string, string>;
const optional = (text: string | undefined): number | undefined => (text ? Number(text) : undefined);

const toSession = (id: SessionId, h: Hash): SessionRecord => ({
  id,
  principal: h.principal ?? "",
  state: h.state as SessionState,
  owner: h.owner ?? "",
  epoch: Number(h.epoch),
  network: h.network ?? "",
  image: h.image ?? "",
  workdir: h.workdir ?? "",
  memoryMb: Number(h.memory_mb),
  cpus: Number(h.cpus),
  diskMb: Number(h.disk_mb ?? 0),
  pids: Number(h.pids ?? 0),
  env: JSON.parse(h.env ?? "{}") as Record<string, string>,
  idleMs: Number(h.idle_ms),
  container: h.container ?? "",
  agentBoot: h.agent_boot ?? "",
  createdAt: Number(h.created_at),
  lastUsedAt: Number(h.last_used_at),
  expiresAt: Number(h.expires_at),
  createCall: h.create_call as CallId,
  durability: h.durability ?? "",
  checkpoint: (h.checkpoint ?? "") as CheckpointId | "",
  mutations: Number(h.mutations ?? 0),
  isDirty: Number(h.covered ?? 0) < Number(h.mutations ?? 0) || h.moving === "1",
  lost: (h.lost ?? "").split(" ").flatMap((range) => (range ? [range.split("-").map(Number) as [number, number]] : [])),
});

const words = (text: string | undefined): string[] => (text ? text.split(" ") : []);
const toCheckpoint = (id: CheckpointId, h: Hash): CheckpointRecord => ({
  id,
  principal: h.principal ?? "",
  sessionId: sessionOf(id),
  name: h.name ?? "",
  createdAt: Number(h.created_at),
  files: Number(h.files),
  bytes: Number(h.bytes),
  storedBytes: Number(h.stored_bytes),
  layers: words(h.layers),
  objects: words(h.objects),
  generation: h.generation ?? "",
  scan: h.scan ?? "0",
  covered: Number(h.covered),
});

/** The one answer for a checkpoint that nobody knows, that is gone, or that is somebody else's. */
export const noCheckpoint = (id: string): ToolFailure =>
  new ToolFailure("NOT_FOUND", `There is no checkpoint "${id}"; automatic ones are the last three of a session`, {
    hint: "list_checkpoints shows yours.",
  });

/** As the record's hash holds it. */
export const checkpointFields = (record: CheckpointRecord): Record<string, string | number> => ({
  principal: record.principal,
  name: record.name,
  created_at: record.createdAt,
  time: new Date(record.createdAt).toISOString(),
  files: record.files,
  bytes: record.bytes,
  stored_bytes: record.storedBytes,
  layers: record.layers.join(" "),
  objects: record.objects.join(" "),
  generation: record.generation,
  scan: record.scan,
  covered: record.covered,
});

const SUMMARY = ["tool", "state", "submitted_at", "started_at", "ended_at", "has_process"];
const toSummary = (id: CallId, h: Hash): CallSummary => ({
  id,
  tool: h.tool ?? "",
  state: h.state as CallState,
  submittedAt: Number(h.submitted_at),
  startedAt: optional(h.started_at),
  endedAt: optional(h.ended_at),
  hasProcess: h.tool === "run_command" || h.has_process === "1",
});

const toCall = (id: CallId, h: Hash): CallRecord => ({
  ...toSummary(id, h),
  args: h.args ?? "{}",
  epoch: Number(h.epoch ?? 0),
  detachAt: Number(h.detach_at),
  mutation: Number(h.mutation ?? 0),
  trace: h.trace ?? "",
  outcome: h.outcome ? (JSON.parse(h.outcome) as Outcome) : undefined,
  notice: h.notice,
});

const toProcess = (id: ProcessId, h: Hash): ProcessRecord => ({
  id,
  status: h.status as ProcessStatus,
  exitCode: h.exit_code ? Number(h.exit_code) : null,
  signal: h.signal ? h.signal : null,
  durationMs: optional(h.duration_ms),
  startedAt: Number(h.started_at),
  bytes: Number(h.bytes ?? 0),
  evictedBefore: Number(h.evicted_before ?? 0),
  logBytes: Number(h.log_bytes ?? 0),
  epoch: Number(h.epoch),
});

/** A stretch of a process's output, as its stream holds it. */
export interface OutputEntry {
  /** `<epoch>-<sequence>` */
  id: string;
  offset: number;
  isStderr: boolean;
  data: Buffer;
}

const toOutput = (raw: unknown): OutputEntry[] =>
  (raw as [Buffer, Buffer[]][]).map(([id, fields]) => ({
    id: id.toString(),
    isStderr: fields[1]?.toString() === "2",
    offset: Number(fields[3]?.toString()),
    data: fields[5] ?? Buffer.alloc(0),
  }));

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
