import type { Redis } from "ioredis";
import type { CallId, CheckpointId, SessionId } from "../ids.ts";
import type { TraceContext } from "../tracing/trace-context.ts";
import { keys } from "./keys.ts";
import { defineScript } from "./script-runner.ts";

/** What `submit` did. `queued`: ring `owner`'s doorbell (empty while the session waits for a worker). */
export type Submitted =
  | { kind: "gone" }
  | { kind: "conflict" }
  | { kind: "full"; depth: number }
  | { kind: "attached"; callId: CallId; ask: number }
  | { kind: "queued"; callId: CallId; owner: string; epoch: number; ring: number };

/** A call that its owner shall run now, or (without `start`) one that it runs already. */
export interface ReadyCall {
  callId: CallId;
  /** `mutation`: which of the session's mutating calls it is, from 1; 0 for none. `queuedMs`: how long it waited. */
  start?: {
    tool: string;
    args: string;
    msUntilDetach: number;
    mutation: number;
    queuedMs: number;
    trace: TraceContext;
  };
}
export interface Ready {
  calls: ReadyCall[];
  /** Running calls that somebody cancelled. */
  cancels: CallId[];
}

/** The session is another worker's, or in another epoch: whoever sees this stops touching it. */
export class FencedError extends Error {
  override readonly name = "FencedError";
  constructor(readonly sessionId: SessionId) {
    super(`session ${sessionId} is no longer owned here`);
  }
}

/** Who writes: every script of an owner is refused unless the session's record names both. */
export interface Lease {
  worker: string;
  epoch: number;
}

/** A process's end as its record has it. */
export interface RecordedEnd {
  status: string;
  exitCode: number | "";
  signal: string;
  durationMs: number;
  bytes: number;
  logBytes: number;
}
const flatEnd = (end: RecordedEnd): (string | number)[] => [
  end.status,
  end.exitCode,
  end.signal,
  end.durationMs,
  end.bytes,
  end.logBytes,
];

/** A call that began as it was submitted, told to its owner by `submit`. */
export interface Offer {
  sessionId: SessionId;
  epoch: number;
  callId: CallId;
  start: NonNullable<ReadyCall["start"]>;
}

/** From what `submit` publishes. */
export const parseOffer = (message: string): Offer => {
  const [sid, epoch, id, tool, args, msUntilDetach, mutation, queuedMs, trace = ""] = JSON.parse(message) as [
    ...[string, string, string],
    ...[string, string, number, number, number, TraceContext?],
  ];
  const start = { tool, args, msUntilDetach, mutation, queuedMs, trace };
  return { sessionId: sid as SessionId, epoch: Number(epoch), callId: id as CallId, start };
};

type RawReady = [[string, string?, string?, number?, number?, number?, TraceContext?][], string[], string?];
const toReady = (raw: RawReady): Ready => ({
  calls: raw[0].map(([id, tool, args, msUntilDetach = 0, mutation = 0, queuedMs = 0, trace = ""]) => ({
    callId: id as CallId,
    ...(tool === undefined ? {} : { start: { tool, args: args ?? "{}", msUntilDetach, mutation, queuedMs, trace } }),
  })),
  cancels: raw[1] as CallId[],
});

/** The Lua scripts that change a session's records, typed. Each touches one session and is safe to repeat. */
export class SessionScripts {
  readonly #run: (name: string) => (key: string, ...args: (string | number | Buffer)[]) => Promise<unknown>;

  constructor(
    redis: Redis,
    /** Told how many calls a loss ended. */
    private readonly losses?: { lost(outcome: "OUTCOME_UNKNOWN" | "SESSION_RESET", count: number): void },
  ) {
    const defined = new Map(
      ["open", "submit", "claim", "ready", "next", "append", "begin_process", "end_process"]
        .concat(["finish", "detach", "cancel", "leave", "lose", "release", "expire", "touch", "pause", "adopt"])
        .concat(["checkpoint", "pin_checkpoint", "delete_checkpoint"])
        .map((name) => [name, defineScript(redis, name, { prelude: "prelude", messagesFirst: name === "finish" })]),
    );
    this.#run = (name) => defined.get(name)!;
  }

  /** @returns false when the session exists already */
  async open(
    sid: SessionId,
    call: { callId: CallId; args: string; waitMs: number; key: string; argsHash: string; trace?: TraceContext },
    fields: Record<string, string | number>,
  ): Promise<boolean> {
    const { callId, args, waitMs, key, argsHash, trace = "" } = call;
    const flat = Object.entries(fields).flat();
    return (await this.#run("open")(keys.session(sid), callId, args, waitMs, key, argsHash, trace, ...flat)) === 1;
  }

  async submit(
    sid: SessionId,
    call: {
      callId: CallId;
      principal: string;
      tool: string;
      class: "lane" | "control";
      mutates: boolean;
      args: string;
      argsHash: string;
      key: string;
      waitMs: number;
      maxDepth: number;
      /** What lists show of the call, such as the beginning of its command. */
      label: string;
      /**
       * Workers that may be dead; absent when any may be. Another one is told to start the call as it is submitted, if it
       * is the first of its lane and the worker listens.
       */
      silent?: readonly string[] | undefined;
      trace?: TraceContext;
    },
  ): Promise<Submitted> {
    const raw = (await this.#run("submit")(
      keys.session(sid),
      call.callId,
      call.principal,
      call.tool,
      call.class,
      call.mutates ? 1 : 0,
      call.args,
      call.argsHash,
      call.key,
      call.waitMs,
      call.maxDepth,
      call.label,
      call.silent?.join() ?? "*",
      call.trace ?? "",
    )) as [Submitted["kind"], string?, string?, string?, number?];
    const [kind, id, owner, epoch, ring] = raw;
    if (kind === "full") return { kind, depth: Number(id) };
    if (kind === "attached") return { kind, callId: id as CallId, ask: Number(owner) };
    if (kind === "queued") return { kind, callId: id as CallId, owner: owner!, epoch: Number(epoch), ring: ring! };
    return { kind };
  }

  /** The session is in use. @returns false when there is no such session of this principal */
  async touch(sid: SessionId, principal: string): Promise<boolean> {
    return (await this.#run("touch")(keys.session(sid), principal)) === 1;
  }

  /** @returns the new epoch, or 0 when somebody else has it or it is gone */
  async claim(sid: SessionId, worker: string): Promise<number> {
    return (await this.#run("claim")(keys.session(sid), worker)) as number;
  }

  async ready(sid: SessionId, lease: Lease, fields: Record<string, string | number>): Promise<void> {
    const raw = await this.#run("ready")(keys.session(sid), ...owner(lease), ...Object.entries(fields).flat());
    if (raw !== 1) throw new FencedError(sid);
  }

  async next(sid: SessionId, lease: Lease): Promise<Ready> {
    return toReady(this.#mine<RawReady>(sid, await this.#run("next")(keys.session(sid), ...owner(lease))));
  }

  async append(
    sid: SessionId,
    lease: Lease,
    chunk: { callId: CallId; sequence: number; offset: number; isStderr: boolean; data: Buffer; event: Buffer },
    keepBytes: number,
  ): Promise<void> {
    const { callId, sequence, offset, isStderr, data, event } = chunk;
    const args = [callId, sequence, offset, isStderr ? 2 : 1, data, event, keepBytes];
    this.#mine(sid, await this.#run("append")(keys.session(sid), ...owner(lease), ...args));
  }

  /** For calls that may end without a process; those of run_command always have one. */
  async beginProcess(sid: SessionId, lease: Lease, callId: CallId): Promise<void> {
    this.#mine(sid, await this.#run("begin_process")(keys.session(sid), ...owner(lease), callId));
  }

  async endProcess(sid: SessionId, lease: Lease, callId: CallId, end: RecordedEnd): Promise<void> {
    this.#mine(sid, await this.#run("end_process")(keys.session(sid), ...owner(lease), callId, ...flatEnd(end)));
  }

  async finish(
    sid: SessionId,
    lease: Lease,
    end: {
      callId: CallId;
      state: "done" | "failed" | "cancelled";
      outcome: string;
      event: Buffer;
      /** It failed before it did anything: the same key may be used again. */
      changedNothing?: boolean;
      /** The end of the call's process, where that was not recorded before. */
      process?: RecordedEnd | undefined;
    },
  ): Promise<Ready> {
    const { callId, state, outcome, event, changedNothing, process } = end;
    const args = [callId, state, outcome, event, changedNothing ? 1 : 0, ...(process ? flatEnd(process) : [])];
    const raw = await this.#run("finish")(keys.session(sid), ...owner(lease), ...args);
    return toReady(this.#mine<RawReady>(sid, raw));
  }

  async detach(sid: SessionId, lease: Lease, callId: CallId): Promise<Ready> {
    return toReady(this.#mine<RawReady>(sid, await this.#run("detach")(keys.session(sid), ...owner(lease), callId)));
  }

  /** @returns the state the call has after it; undefined when there is no such call */
  async cancel(sid: SessionId, callId: CallId, outcome: string): Promise<string | undefined> {
    return ((await this.#run("cancel")(keys.session(sid), callId, outcome)) as string | null) ?? undefined;
  }

  /**
   * A request for the call goes away; the last one cancels it.
   * @param ask which of the requests that asked for the call: 1 made it, `submit` numbers those that attached
   */
  async leave(sid: SessionId, callId: CallId, ask: number, outcome: string): Promise<string | undefined> {
    return ((await this.#run("leave")(keys.session(sid), callId, ask, outcome)) as string | null) ?? undefined;
  }

  /** Calls that come from now on wait for the next owner. */
  async pause(sid: SessionId, lease: Lease): Promise<void> {
    this.#mine(sid, await this.#run("pause")(keys.session(sid), ...owner(lease)));
  }

  /** Takes the session over with all that it has. @returns the new epoch, or 0 when `from` no longer had it, or has it not ready */
  async adopt(sid: SessionId, from: Lease, worker: string): Promise<number> {
    return (await this.#run("adopt")(keys.session(sid), ...owner(from), worker)) as number;
  }

  /** @returns the new epoch, or 0 when the session had left `epoch` before */
  async lose(
    sid: SessionId,
    epoch: number,
    to: { owner: string; state: "starting" | "queued"; notice: string; unknown: string; reset: string },
  ): Promise<number> {
    const args = [to.owner, to.state, to.notice, to.unknown, to.reset];
    const raw = await this.#run("lose")(keys.session(sid), epoch, ...args);
    const [fresh, unknown, reset] = raw as [number, number, number];
    this.losses?.lost("OUTCOME_UNKNOWN", unknown);
    this.losses?.lost("SESSION_RESET", reset);
    return fresh;
  }

  /** @returns false when the session had left `epoch`, or was closed, before */
  async release(
    sid: SessionId,
    epoch: number,
    end: { outcome: string; asking?: CallId; answer?: string },
  ): Promise<boolean> {
    const args = [end.outcome, end.asking ?? "", end.answer ?? ""];
    return (await this.#run("release")(keys.session(sid), epoch, ...args)) === 1;
  }

  /** @returns true when the session takes no calls from now on: it was idle for too long */
  async expire(sid: SessionId, lease: Lease): Promise<boolean> {
    const raw = await this.#run("expire")(keys.session(sid), ...owner(lease));
    return this.#mine<number>(sid, raw) === 1;
  }

  /**
   * Points the session to a checkpoint.
   * @param id undefined when nothing has changed since the present one
   * @param to `covered` the last mutating call that it covers; `undone` the first one whose effects it takes back, 0 for none
   * @returns ids of automatic ones that are gone for it
   */
  async checkpoint(
    sid: SessionId,
    lease: Lease,
    id: CheckpointId | undefined,
    to: { covered: number; isMoving: boolean; undone: number; fields: Record<string, string | number> },
  ): Promise<CheckpointId[]> {
    const args = [id ?? "", to.covered, to.isMoving ? 1 : 0, to.undone, ...Object.entries(to.fields).flat()];
    return this.#mine(sid, await this.#run("checkpoint")(keys.session(sid), ...owner(lease), ...args));
  }

  /** Gives a session that is about to be opened a checkpoint to begin with. */
  async pinCheckpoint(sid: SessionId, id: CheckpointId, fields: Record<string, string | number>): Promise<void> {
    await this.#run("pin_checkpoint")(keys.session(sid), id, ...Object.entries(fields).flat());
  }

  /** @returns false when there is no such checkpoint of this principal */
  async deleteCheckpoint(sid: SessionId, id: CheckpointId, principal: string): Promise<boolean> {
    return (await this.#run("delete_checkpoint")(keys.session(sid), id, principal)) === 1;
  }

  #mine<T>(sid: SessionId, raw: unknown): T {
    if (raw === null || raw === false) throw new FencedError(sid);
    return raw as T;
  }
}

const owner = (lease: Lease): [string, number] => [lease.worker, lease.epoch];
