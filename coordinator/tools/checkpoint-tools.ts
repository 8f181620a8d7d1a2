import { createHash } from "node:crypto";
import { createSession, forkSession } from "../../shared/catalog/index.ts";
import { noCheckpoint } from "../../shared/checkpoint-record.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { isCheckpointId, isSessionId, sessionOf } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { Past } from "../audit/past.ts";
import type { Caller } from "../calls/caller.ts";
import type { LaneCalls } from "../calls/lane-calls.ts";
import { type SessionResolver, sessionNotFound } from "../calls/session-resolver.ts";

type Structured = Record<string, unknown>;

/** What of checkpoints needs no worker, and forks, which need one for their checkpoint only. */
export class CheckpointTools {
  constructor(
    private readonly deps: {
      records: Records;
      scripts: SessionScripts;
      resolver: SessionResolver;
      past: Past;
      lane: LaneCalls;
    },
  ) {}

  /** Also those of a session that is over: they outlive it, and with Postgres a Redis that lost everything. */
  async list({ session_id, limit }: { session_id?: string; limit: number }, caller: Caller): Promise<Structured> {
    if (session_id !== undefined && !isSessionId(session_id)) throw sessionNotFound(session_id);
    const { records, past } = this.deps;
    const known = await records.checkpointsOf(caller.principal, session_id);
    const lost = await past.checkpoints(caller.principal, { session: session_id, limit: limit + 1 });
    const found = [...known, ...lost];
    if (session_id !== undefined && found.length === 0) await this.deps.resolver.record(session_id, caller);
    return {
      checkpoints: found.slice(0, limit).map(({ id, sessionId, name, files, bytes, createdAt }) => ({
        checkpoint_id: id,
        session_id: sessionId,
        ...(name ? { name } : {}),
        ...{ files, size_bytes: bytes, created_at: new Date(createdAt).toISOString() },
      })),
      truncated: found.length > limit,
    };
  }

  async delete({ checkpoint_id: id }: { checkpoint_id: string }, caller: Caller): Promise<Structured> {
    if (!isCheckpointId(id)) throw noCheckpoint(id);
    const { scripts, past } = this.deps;
    const isDeleted = await scripts.deleteCheckpoint(sessionOf(id), id, caller.principal);
    const isForgotten = await past.deleteCheckpoint(caller.principal, id);
    if (!isDeleted && !isForgotten) throw noCheckpoint(id);
    return { deleted: true };
  }

  /** A checkpoint of the session as it is now, unless one is named, and new sessions from it. */
  async fork(args: ForkArguments, caller: Caller): Promise<Structured> {
    const { resolver, lane } = this.deps;
    const source = await resolver.record(args.session_id, caller);
    let from = args.checkpoint_id;
    if (from === undefined) {
      const { checkpoint_id, ...rest } = await lane.run(forkSession, { ...args, session_id: source.id }, caller);
      if (typeof checkpoint_id !== "string")
        throw new ToolFailure("TIMED_OUT", `The session's checkpoint was not there in time (call ${rest.call_id})`, {
          hint: "Nothing was made. Repeat it with an idempotency_key, or fork from a checkpoint_id.",
        });
      from = checkpoint_id;
    }
    const made = await Promise.allSettled(
      Array.from({ length: args.count }, (_, i) => lane.run(createSession, settingsOf(source, args, from, i), caller)),
    );
    const ids = made.flatMap((one) => (one.status === "fulfilled" ? [one.value.session_id] : []));
    const failed = made.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    if (ids.length === 0) throw failed[0];
    return { checkpoint_id: from, session_ids: ids, ...(failed.length > 0 ? { failed: failed.length } : {}) };
  }
}

interface ForkArguments extends Structured {
  session_id?: string;
  checkpoint_id?: string;
  count: number;
  idempotency_key?: string;
}

const settingsOf = (
  { image, env, memoryMb, cpus, idleMs, durability, network }: SessionRecord,
  { idempotency_key: key }: ForkArguments,
  from: string,
  index: number,
): Structured => ({
  ...(image ? { image } : {}),
  ...{ env, memory_mb: memoryMb, cpus, idle_timeout_s: idleMs / 1000, from_checkpoint: from },
  ...(durability ? { durability } : {}),
  ...(network ? { network } : {}),
  ...(key ? { idempotency_key: createHash("sha256").update(`fork ${index} ${key}`).digest("hex") } : {}),
});
