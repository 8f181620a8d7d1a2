import { closeSession, createSession, type Tool, WAIT_MS } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, isProcessId, processIdOf, type SessionId, sessionOf } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { Quotas } from "../quotas/quotas.ts";
import type { CallEnd, CallWaiter } from "./call-waiter.ts";
import type { Caller } from "./caller.ts";
import type { OutputPosition } from "./output-follower.ts";
import type { SessionOpener } from "./session-opener.ts";
import { noProcess, type SessionResolver, sessionNotFound } from "./session-resolver.ts";
import { type Accepted, classOf, type Submitter } from "./submitter.ts";

/** How a call ends that is cancelled while it is still queued. */
const CANCELLED = JSON.stringify({
  failure: new ToolFailure("CANCELLED", "The call was cancelled before it started").toRecord(),
});

/** A resumed call's end is looked for at least so long. */
const RESUMED_MS = 2_000;

type Structured = Record<string, unknown>;
interface Started {
  sessionId: SessionId;
  callId: CallId;
  /** Which of the requests that asked for the call this one is, from 1. */
  ask: number;
  notice?: string;
}

/** Serves the tools that run on a worker: submits, waits softly, and answers with the end or how to follow the call. */
export class LaneCalls {
  #isDraining = false;

  constructor(
    private readonly deps: {
      resolver: SessionResolver;
      opener: SessionOpener;
      submitter: Submitter;
      waiter: CallWaiter;
      records: Records;
      scripts: SessionScripts;
      quotas: Quotas;
    },
    /** A 2026-era client that left gets this long to repeat a call with the same key before the call is cancelled. */
    private readonly reattachMs: number,
  ) {}

  /** From now on a closed response is our own doing and cancels nothing. */
  drain(): void {
    this.#isDraining = true;
  }

  /** @throws {ToolFailure} with the tool's own failure, or why it was not taken */
  async run(tool: Tool, args: Structured, caller: Caller): Promise<Structured> {
    const waitMs = typeof args.wait_ms === "number" ? args.wait_ms : WAIT_MS.default;
    const until = caller.receivedAt + waitMs;
    if (tool.name === closeSession.name && (await this.#closeUnplaced(args, caller))) {
      return { session_id: args.session_id, closed: true };
    }
    const started =
      tool.name === createSession.name
        ? await this.#open(args, caller, until)
        : await this.#submit(tool, args, caller, until);
    caller.onSubmitted?.(started.sessionId, started.callId);
    const end = await this.#wait(tool, started, args, caller, until);
    if (end) this.deps.quotas.ended(caller.principal, started.callId);
    const own = started.notice ? { notice: started.notice } : {};
    if (!end) return { ...own, ...(await this.#unfinished(started)) };
    const isReplayed = started.ask > 1 && (await this.#areEffectsLost(started));
    return { ...own, ...this.#answer(end), ...(isReplayed ? { effects_lost: true } : {}) };
  }

  /**
   * Waits on for a call that another request made, as long as that one would have, and answers as that one would.
   * @throws {ToolFailure} with the tool's own failure, or NOT_FOUND
   */
  async resume(
    tool: Tool,
    callId: CallId,
    caller: Caller,
    outputFrom: OutputPosition | undefined,
  ): Promise<Structured> {
    const { records, waiter } = this.deps;
    const sessionId = sessionOf(callId);
    const call = await records.call(sessionId, callId);
    if (!call) throw new ToolFailure("NOT_FOUND", `There is no call "${callId}" any more`);
    const end = await waiter.wait(sessionId, callId, {
      until: performance.now() + Math.max(RESUMED_MS, call.detachAt - Date.now()),
      isNew: false,
      progress: caller.progress,
      outputFrom,
      signal: undefined,
      onStillQueued: () => this.#stillQueued(tool, {}, { sessionId, callId, ask: 1 }, caller),
    });
    return end ? this.#answer(end) : await this.#unfinished({ sessionId, callId, ask: 1 });
  }

  /** A session that still waits for a worker has nobody who could close it. */
  async #closeUnplaced(args: Structured, caller: Caller): Promise<boolean> {
    const session = await this.deps.resolver.record(String(args.session_id), caller);
    return session.state === "queued" && (await this.deps.opener.release(session));
  }

  /** What it opens has a quota of its own, so that the call holds no place among the open ones. */
  async #open(args: Structured, caller: Caller, until: number): Promise<Started> {
    await this.deps.quotas.admitCall(caller.principal, createSession);
    return await this.deps.opener.open(caller.principal, args, until - performance.now(), caller.trace);
  }

  async #submit(tool: Tool, args: Structured, caller: Caller, until: number): Promise<Started> {
    const {
      session_id: named,
      idempotency_key: key,
      ...rest
    } = args as Structured & {
      session_id?: string;
      idempotency_key?: string;
    };
    const { resolver, submitter } = this.deps;
    const attempt = async (sessionId: SessionId): Promise<Accepted | undefined> =>
      await submitter.submit({
        sessionId,
        principal: caller.principal,
        tool,
        args: rest,
        key,
        waitMs: until - performance.now(),
        trace: caller.trace ?? "",
      });
    if ("process_id" in tool.input.shape && named === undefined) {
      const id = String(rest.process_id);
      const sessionId = isProcessId(id) ? sessionOf(id) : undefined; // the process says which session it is in
      const accepted = sessionId && (await attempt(sessionId));
      if (!accepted) throw noProcess(id);
      return { sessionId, ...accepted };
    }
    const resolved = await resolver.resolve(named, caller);
    const accepted = await attempt(resolved.sessionId);
    if (accepted) return { ...resolved, ...accepted };
    if (named !== undefined || tool.name === closeSession.name) throw sessionNotFound(named ?? resolved.sessionId);
    const replaced = await resolver.replace(resolved.sessionId, caller);
    const again = await attempt(replaced.sessionId);
    if (!again) throw sessionNotFound(replaced.sessionId);
    return { ...replaced, ...again };
  }

  async #wait(
    tool: Tool,
    started: Started,
    args: Structured,
    caller: Caller,
    until: number,
  ): Promise<CallEnd | undefined> {
    const { sessionId, callId, ask } = started;
    try {
      return await this.deps.waiter.wait(sessionId, callId, {
        until,
        isNew: ask === 1,
        progress: caller.progress,
        signal: caller.signal,
        onStillQueued: () => this.#stillQueued(tool, args, started, caller),
      });
    } finally {
      const hasKey = args.idempotency_key !== undefined;
      if (caller.signal?.aborted) this.#abandon(sessionId, callId, ask, hasKey ? this.reattachMs : 0);
    }
  }

  /** The client went away: its call is cancelled unless another request, on any replica, asked for it too. */
  #abandon(sid: SessionId, callId: CallId, ask: number, afterMs: number): void {
    const leave = async (): Promise<void> => {
      if (this.#isDraining) return;
      const state = await this.deps.scripts.leave(sid, callId, ask, CANCELLED);
      await this.#discardUnwanted(sid, callId, state);
    };
    setTimeout(() => void leave().catch(() => {}), afterMs).unref(); // Redis away: the call just ends
  }

  async cancel(sid: SessionId, callId: CallId): Promise<void> {
    await this.#discardUnwanted(sid, callId, await this.deps.scripts.cancel(sid, callId, CANCELLED));
  }

  /** A session whose create_session nobody waits for any more has an id that nobody knows. */
  async #discardUnwanted(sid: SessionId, callId: CallId, state: string | undefined): Promise<void> {
    if (state !== "cancelled" && state !== "running") return;
    const session = await this.deps.records.session(sid);
    if (session?.createCall === callId) await this.deps.opener.discard(sid, session.principal);
  }

  async #stillQueued(tool: Tool, args: Structured, { sessionId: sid, callId }: Started, caller: Caller): Promise<void> {
    const { records, opener, submitter } = this.deps;
    const session = await records.session(sid);
    if (session?.state === "queued") {
      const position = await opener.enqueue(sid, caller.principal, session.epoch);
      if (position > 0) caller.progress?.queued(position);
      return;
    }
    caller.progress?.queued(await records.lanePosition(sid, callId));
    if (classOf(tool, args) === "lane") await submitter.ringAgain(sid, callId, tool.name);
  }

  /** What an earlier call changed may have been lost, or taken back, since it was told. */
  async #areEffectsLost({ sessionId, callId }: Started): Promise<boolean> {
    const { records } = this.deps;
    const [session, call] = await Promise.all([records.session(sessionId), records.call(sessionId, callId)]);
    const mutation = call?.mutation ?? 0;
    return session?.lost.some(([from, to]) => from <= mutation && mutation <= to) ?? false;
  }

  #answer({ outcome, notice }: CallEnd): Structured {
    if ("failure" in outcome) {
      const { message } = outcome.failure;
      throw ToolFailure.of({ ...outcome.failure, message: notice ? `${message} (${notice})` : message });
    }
    if (!notice) return outcome.result;
    const own = outcome.result.notice;
    return { ...outcome.result, notice: own ? `${notice} ${own}` : notice };
  }

  async #unfinished({ sessionId, callId }: Started): Promise<Structured> {
    const call = await this.deps.records.call(sessionId, callId);
    const status = call?.state === "queued" ? "queued" : "running";
    const process = call?.hasProcess ? { process_id: processIdOf(callId) } : {};
    return { status, call_id: callId, session_id: sessionId, ...process };
  }
}
