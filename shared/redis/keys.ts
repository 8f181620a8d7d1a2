import type { CallId, CheckpointId, ProcessId, SessionId } from "../ids.ts";

/**
 * The only file that spells a Redis key. All keys of a session share the hash slot of `session(sid)`; the scripts in
 * `lua/` get that one key and append the same suffixes, so a suffix that changes here changes there.
 */
export const keys = {
  /** Hash, see `SessionRecord`. The prefix of every other key of the session. */
  session: (sid: SessionId) => `cg:{${sid}}`,
  /** List of call ids that hold or wait for the lane, oldest first. */
  lane: (sid: SessionId) => `cg:{${sid}}:lane`,
  /** List of ids of control calls (kill, write, close) that are not final. */
  controls: (sid: SessionId) => `cg:{${sid}}:ctl`,
  /** Set of ids of calls that left the lane and go on. */
  detached: (sid: SessionId) => `cg:{${sid}}:detached`,
  /** Sorted set of call ids by submission time in ms, newest 1,000. */
  calls: (sid: SessionId) => `cg:{${sid}}:calls`,
  /** Hash, see `CallRecord`. */
  call: (sid: SessionId, id: CallId) => `cg:{${sid}}:c:${id}`,
  /** Sorted set of process ids by start time in ms, newest 1,000. */
  processes: (sid: SessionId) => `cg:{${sid}}:procs`,
  /** Set of ids of processes that have not ended. */
  runningProcesses: (sid: SessionId) => `cg:{${sid}}:running`,
  /** Hash, see `ProcessRecord`. */
  process: (sid: SessionId, id: ProcessId) => `cg:{${sid}}:p:${id}`,
  /** Stream of output, ids `<epoch>-<sequence>`, fields `s` (1 stdout, 2 stderr), `o` (byte offset), `d` (bytes). */
  output: (sid: SessionId, id: ProcessId) => `cg:{${sid}}:p:${id}:o`,
  /** Sorted set of checkpoint ids, the newest with the highest score. */
  checkpoints: (sid: SessionId) => `cg:{${sid}}:ck`,
  /** Hash, see `CheckpointRecord`. */
  checkpoint: (sid: SessionId, id: CheckpointId) => `cg:{${sid}}:k:${id}`,
  /** List of `<call id> <worker> <principal>`: calls that ended and that the audit does not have yet; no id for the session itself. */
  ended: (sid: SessionId) => `cg:{${sid}}:audit`,
  /** Channel of `SessionEvent` messages. */
  events: (sid: SessionId) => `cg:{${sid}}:ev`,
  /** Channel of session ids whose controls or cancels changed. */
  wake: (incarnation: string) => `cg:wake:${incarnation}`,
  /** Channel of calls that began as they were submitted, see `Offer`. */
  offer: (incarnation: string) => `cg:offer:${incarnation}`,
  /** The one slot of placement: `:waiting`, `:q:<principal>`, `:returning`, `:turns`, `:turn`, `:served`, `:weights`, `:taken`, `:load`, `:beats`, `:seq`. */
  place: "cg:{place}",
  /** String: whose Redis this is, see `StoreIdentity`. */
  store: "cg:store",
  /** String: certificate and key, as JSON, of who signs for hosts that secrets are registered for, see `EgressAuthority`. */
  egressAuthority: "cg:egress:authority",
  /** Stream of `AuditEntry` as JSON in the field `e`, the newest that fit its bound. */
  audit: "cg:audit",
  /** String: the coordinator that keeps the audit now. */
  auditKeeper: "cg:audit:keeper",
  /** Channel of ids of sessions in which calls ended. */
  auditEnded: "cg:audit:ended",
  /** Set of the incarnations that started and did not stop cleanly. */
  workers: "cg:workers",
  /** Sorted set of incarnations that are over, by the time in ms: whatever they left may go. Kept for a day. */
  endedWorkers: "cg:workers:ended",
  /** Hash that describes a worker incarnation; its `beat` counts up while it lives. */
  worker: (incarnation: string) => `cg:worker:${incarnation}`,
  /** Set of the sessions that an incarnation may own: added before it claims them. */
  workerSessions: (incarnation: string) => `cg:worker:${incarnation}:sessions`,
  /** Sorted set of session ids by creation time in ms. */
  principalSessions: (principal: string) => `cg:principal:${principal}:sessions`,
  /** Sorted set of checkpoint ids by the time in ms; those that are gone are taken out some time. */
  principalCheckpoints: (principal: string) => `cg:principal:${principal}:checkpoints`,
  /** Sorted set of all checkpoint ids by the time in ms. An id stands here before its record does, and until after it. */
  allCheckpoints: "cg:checkpoints",
  /** String: the worker that sweeps the checkpoint store now. */
  checkpointSweep: "cg:checkpoints:sweep",
  /** Hash; `session` is the one that calls of this principal get which name none. */
  principal: (principal: string) => `cg:principal:${principal}`,
  /** The prefix of what its quotas count, in one hash slot: `:calls`, `:rate`, `:cpu:<hour>`, `:stored`, `:stored:most`, `:stored:ended`. */
  quota: (principal: string) => `cg:{p:${principal}}`,
  /** String, there while some quota asks workers to count cpu time. */
  cpuCounted: "cg:cpu-counted",
  /** `create_session`'s idempotency key → session id and arguments' hash, 24 h. */
  creationKey: (principal: string, key: string) => `cg:principal:${principal}:key:${key}`,
  /** Hash of a 2025-era `Mcp-Session-Id`: principal, bound session. */
  mcpSession: (id: string) => `cg:mcp:${id}`,
  /** The call that a JSON-RPC request of an MCP session made, and whether it was answered; for minutes. */
  mcpRequest: (id: string, requestId: string) => `cg:mcp:${id}:r:${requestId}`,
  /** The JSON-RPC request of an MCP session that made a call, see `NotedRequest`; for minutes. */
  mcpCall: (id: string, callId: CallId) => `cg:mcp:${id}:c:${callId}`,
  /** List of JSON-RPC messages for the replica that holds an HTTP+SSE stream. */
  mcpInbox: (id: string) => `cg:mcp:${id}:in`,
  /** String: what signs the URLs of artifacts, made once by whoever needs it first. */
  signingKey: "cg:signing-key",
  /** Sorted set of a principal's `Mcp-Session-Id`s by last use in ms. */
  mcpSessions: (principal: string) => `cg:mcps:${principal}`,
} as const;

/** To whom a key belongs; "" when it is none of that kind. */
export const keyOwner = {
  session: (key: string): string => /^cg:\{(ses_[0-9a-z]+)\}/.exec(key)?.[1] ?? "",
  isCheckpoint: (key: string): boolean => /^cg:\{ses_[0-9a-z]+\}:k:/.test(key),
  isEndedList: (key: string): boolean => /^cg:\{ses_[0-9a-z]+\}:audit$/.test(key),
  worker: (key: string): string => /^cg:worker:(w_[0-9a-z]+)/.exec(key)?.[1] ?? "",
  isPrincipalIndex: (key: string): boolean => /^cg:principal:.*:sessions$/.test(key),
} as const;
