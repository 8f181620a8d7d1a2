import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Span } from "@opentelemetry/api";
import type { Logger } from "pino";
import { SessionEventSchema } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import { isFinalState, type Outcome } from "../../shared/call-record.ts";
import { createSession, findTool } from "../../shared/catalog/index.ts";
import { CHANGED_NOTHING, ToolFailure, toFailure } from "../../shared/failure.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import {
  FencedError,
  type Lease,
  type Offer,
  type Ready,
  type ReadyCall,
  type SessionScripts,
} from "../../shared/redis/session-scripts.ts";
import { failSpan, inSpan } from "../../shared/tracing/in-span.ts";
import { type TraceContext, traceIdOf } from "../../shared/tracing/trace-context.ts";
import type { SessionCheckpoints } from "../checkpoint/session-checkpoints.ts";
import type { WorkerMetrics } from "../metrics.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type CallEnd, EndedCalls } from "./ended-calls.ts";
import { canGoOn, outcomeUnknown } from "./going-on.ts";
import type { SessionWorkspace } from "./session-workspace.ts";

/** Whether the workspace may differ after a call of this tool. */
const changesFiles = (tool: string): boolean => {
  const known = findTool(tool);
  return known?.class === "lane" && known.mutates && known.name !== createSession.name;
};

/** An outcome that is larger is only announced; whoever waits reads the record. */
const MAX_INLINE_OUTCOME = 16 * 1024;
const UNHEARD_MAX = 64;
const RETRY_MS = 1_000;

/** What a tool's executor knows of its call. */
export interface CallContext {
  callId: CallId;
  workspace: SessionWorkspace;
  checkpoints: SessionCheckpoints;
  /** Aborted when somebody cancels the call, or the session ends. */
  signal: AbortSignal;
  log: Logger;
}

export type Executor = (args: Record<string, unknown>, context: CallContext) => Promise<Record<string, unknown>>;

interface Running {
  tool: string;
  /** An earlier owner of the session started it. */
  isOlder: boolean;
  abort: AbortController;
  detachTimer: NodeJS.Timeout | undefined;
  isDetached: boolean;
  trace: TraceContext;
}

/**
 * One session that this worker owns, in one epoch: pulls the calls that its lane's order allows, runs them, and records
 * their ends. Every write carries the lease; the first one that is refused ends this object.
 */
export class OwnedSession {
  readonly #running = new Map<CallId, Running>();
  /** Started in this epoch and not recorded as ended: none of them is ever started again. */
  readonly #started = new Set<CallId>();
  readonly #ended = new EndedCalls();
  /** Calls out of the lane that an earlier owner started, and that are not followed here yet. */
  readonly #toTakeUp = new Set<CallId>();
  /** BullMQ jobs that wait for their call to end or detach. */
  readonly #doorbells = new Map<CallId, ((state: string) => void)[]>();
  /** States of calls that ended or detached before their doorbell came, the newest last. */
  readonly #unheard = new Map<CallId, string>();
  /** The last of the session's mutating calls that was started, by number. */
  #mutation = 0;
  #pulling: Promise<void> | undefined;
  #pullAgain = false;
  #isOver = false;

  constructor(
    private readonly deps: {
      scripts: SessionScripts;
      records: Records;
      executors: ReadonlyMap<string, Executor>;
      metrics: Pick<WorkerMetrics, "callStarted" | "callEnded">;
      /** False while our beat does not get through: others may soon take the session for lost. */
      mayStart: () => boolean;
      /** Whose session it is. */
      principal: string;
      log: Logger;
      onFenced: (session: OwnedSession) => void;
    },
    readonly id: SessionId,
    readonly lease: Lease,
    readonly workspace: SessionWorkspace,
    readonly checkpoints: SessionCheckpoints,
  ) {}

  get container(): Sandbox | undefined {
    return this.workspace.container;
  }

  get runningCalls(): number {
    return this.#running.size;
  }

  /** Those of them that stand in the session's lists still. */
  get callsInLane(): number {
    return [...this.#running.values()].filter(({ isDetached }) => !isDetached).length;
  }

  /** Whether the session is still ours in this epoch; starts what may start. False also when the records do not answer. */
  async confirm(): Promise<boolean> {
    try {
      this.#apply(await this.deps.scripts.next(this.id, this.lease));
      return !this.#isOver;
    } catch (error) {
      this.#onScriptError(error);
      return false;
    }
  }

  /** Calls whose end no later owner could tell. */
  get boundCalls(): number {
    return [...this.#running.values()].filter(({ tool }) => !canGoOn(tool)).length;
  }

  /** Asks the records what may start. Rings that come while it asks are answered by one more question. */
  async ring(): Promise<void> {
    this.#pullAgain = true;
    this.#pulling ??= this.#pull().finally(() => {
      this.#pulling = undefined;
    });
    await this.#pulling;
  }

  /** Starts a call that the records have for running since it came. Whatever speaks against that is left to them. */
  take({ epoch, callId, start }: Offer): void {
    const isLate = start.mutation > 0 && start.mutation <= this.#mutation; // it may have been started, ended and forgotten
    const isOurs = epoch === this.lease.epoch && !this.#isOver;
    if (isOurs && !isLate && this.deps.mayStart()) this.#start(callId, start);
    else void this.ring();
  }

  /**
   * Answers a call's doorbell: looks for what may start unless the call runs already, and resolves with its state once it
   * ended or detached here, or the session is over.
   */
  async answer(callId: CallId): Promise<string> {
    if (this.#isOver) return "gone";
    const state = this.#unheard.get(callId);
    if (state !== undefined) return state;
    this.settle(callId, "rung again"); // one job waits for a call, however often it is rung
    const settled = new Promise<string>((resolve) => {
      const waiting = this.#doorbells.get(callId) ?? [];
      waiting.push(resolve);
      this.#doorbells.set(callId, waiting);
    });
    if (!this.#running.has(callId)) await this.ring();
    return await settled;
  }

  /** Doorbells of calls that do not run here: they wait, or have ended without us. */
  idleDoorbells(): CallId[] {
    return [...this.#doorbells.keys()].filter((callId) => !this.#running.has(callId));
  }

  settle(callId: CallId, state: string): void {
    for (const resolve of this.#doorbells.get(callId) ?? []) resolve(state);
    this.#doorbells.delete(callId);
  }

  /** Takes up calls that left the lane under an earlier owner and go on. */
  takeUp(callIds: readonly CallId[]): void {
    for (const callId of callIds) this.#toTakeUp.add(callId);
  }

  /** Nothing of this session is started or recorded from here any more; what runs is aborted. */
  end(): void {
    for (const running of this.#running.values()) running.abort.abort();
    this.leave();
  }

  /** Nothing of this session is started or recorded from here any more; what runs goes on for the next owner. */
  leave(): void {
    this.#isOver = true;
    for (const running of this.#running.values()) clearTimeout(running.detachTimer);
    this.#running.clear();
    for (const callId of [...this.#doorbells.keys()]) this.settle(callId, "gone");
  }

  async #pull(): Promise<void> {
    while (this.#pullAgain && !this.#isOver && this.deps.mayStart()) {
      this.#pullAgain = false;
      try {
        this.#apply(await this.deps.scripts.next(this.id, this.lease));
      } catch (error) {
        this.#onScriptError(error);
      }
    }
  }

  #apply({ calls, cancels }: Ready): void {
    if (this.#isOver) return;
    // What the answer told to start before the beat stopped is listed as running, and starts when it is heard again.
    for (const { callId, start } of this.deps.mayStart() ? calls : []) {
      if (start) this.#start(callId, start);
      else if (!this.#started.has(callId)) void this.#startUnknown(callId);
    }
    for (const callId of this.#toTakeUp) void this.#startUnknown(callId);
    for (const callId of cancels) this.#running.get(callId)?.abort.abort();
  }

  /**
   * The records say that the call runs, and we never started it: the answer that told us to was lost on the way, or an
   * earlier owner did.
   */
  async #startUnknown(callId: CallId): Promise<void> {
    const call = await this.deps.records.call(this.id, callId).catch(() => undefined); // the next pull tries again
    if (this.#isOver || !this.deps.mayStart()) return;
    if (!call || isFinalState(call.state)) this.#toTakeUp.delete(callId);
    if (call?.state !== "running" && call?.state !== "detached") return;
    const { tool, args, detachAt, epoch, mutation, submittedAt, startedAt, trace } = call;
    this.#toTakeUp.delete(callId);
    const queuedMs = Math.max(0, (startedAt ?? submittedAt) - submittedAt);
    const msUntilDetach = detachAt - Date.now();
    const isDetached = call.state === "detached";
    const start = { tool, args, msUntilDetach, mutation, queuedMs, trace };
    this.#start(callId, start, epoch < this.lease.epoch, isDetached);
  }

  #start(
    callId: CallId,
    { tool, args, msUntilDetach, mutation, queuedMs, trace }: NonNullable<ReadyCall["start"]>,
    isOlder = false,
    isDetached = false,
  ): void {
    if (this.#started.has(callId)) return;
    if (this.#ended.has(callId)) return void this.#endAgain(callId);
    this.#started.add(callId);
    this.#mutation = Math.max(this.#mutation, mutation);
    const detachTimer = setTimeout(() => void this.#detach(callId), Math.max(0, msUntilDetach));
    const running: Running = { tool, isOlder, abort: new AbortController(), detachTimer, isDetached, trace };
    if (!isOlder) this.deps.metrics.callStarted(queuedMs);
    this.#running.set(callId, running);
    this.checkpoints.callStarted(callId, mutation);
    const { principal } = this.deps;
    const log = this.deps.log.child({ session: this.id, call: callId, principal, tool, ...traceIdOf(trace) });
    const attributes = {
      "codegen.session": this.id,
      "codegen.call": callId,
      "gen_ai.tool.name": tool,
      "codegen.queued_ms": queuedMs,
    };
    inSpan(`run ${tool}`, { kind: "CONSUMER", parent: trace, attributes }, (_, span) =>
      this.#run(callId, args, running, { log, span }),
    ).catch((error: unknown) => this.#onScriptError(error));
  }

  async #run(
    callId: CallId,
    args: string,
    running: Running,
    { log, span }: { log: Logger; span: Span },
  ): Promise<void> {
    const startedAt = performance.now();
    const executed = await this.#execute(callId, args, running, log);
    if (this.#isOver) return;
    const outcome = await this.checkpoints.callEnded(callId, executed);
    clearTimeout(running.detachTimer);
    if (this.#isOver) return;
    const failure = "failure" in outcome ? outcome.failure : undefined;
    if (failure) failSpan(span, failure.code);
    const state = failure ? (failure.code === "CANCELLED" ? "cancelled" : "failed") : "done";
    const outcomeJson = JSON.stringify(outcome);
    const event = this.#finishedEvent(callId, state, outcomeJson);
    if (changesFiles(running.tool)) this.workspace.mark(callId);
    const changedNothing = failure !== undefined && CHANGED_NOTHING.has(failure.code);
    const process = this.workspace.takeEnd(callId);
    const end: CallEnd = { callId, state, outcome: outcomeJson, event, changedNothing, process: process?.end };
    const ready = await this.#finish(end);
    if (!ready) return;
    process?.onRecorded();
    this.#running.delete(callId);
    this.#ended.add(end);
    this.#started.delete(callId); // it stands in no lane any more
    this.#tell(callId, state);
    const durationMs = performance.now() - startedAt;
    this.deps.metrics.callEnded(running.tool, failure?.code, durationMs);
    log.debug({ state, code: failure?.code, durationMs: Math.round(durationMs) }, "call ended");
    this.#apply(ready);
  }

  /** Tries until the end is recorded: a call whose end is lost would hold its lane for ever. */
  async #finish(end: CallEnd): Promise<Ready | undefined> {
    for (;;) {
      try {
        return await this.deps.scripts.finish(this.id, this.lease, end);
      } catch (error) {
        this.#onScriptError(error);
        if (this.#isOver || error instanceof FencedError) return undefined;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  /** The records tell to start a call that ended here: they have lost its end. */
  async #endAgain(callId: CallId): Promise<void> {
    const ready = await this.#finish(this.#ended.endOf(callId));
    if (ready) this.#apply(ready);
  }

  async #execute(callId: CallId, args: string, { tool, isOlder, abort }: Running, log: Logger): Promise<Outcome> {
    try {
      const execute = this.deps.executors.get(tool);
      if (!execute) throw unknownTool(tool);
      if (isOlder && !canGoOn(tool)) throw outcomeUnknown();
      const { signal } = abort;
      const parsed = JSON.parse(args) as Record<string, unknown>;
      const { workspace, checkpoints } = this;
      return { result: await execute(parsed, { callId, workspace, checkpoints, signal, log }) };
    } catch (error) {
      if (!(error instanceof ToolFailure)) log.error({ err: error }, "a call failed inside");
      return { failure: toFailure(error).toRecord() };
    }
  }

  /** Lets the call's doorbell go; a wake may have been so much faster that it comes only now. */
  #tell(callId: CallId, state: string): void {
    if (!this.#doorbells.has(callId)) this.#unheard.set(callId, state);
    this.settle(callId, state);
    if (this.#unheard.size > UNHEARD_MAX) this.#unheard.delete(this.#unheard.keys().next().value!);
  }

  #finishedEvent(callId: CallId, state: string, outcome: string): Buffer {
    const outcomeJson = outcome.length <= MAX_INLINE_OUTCOME ? outcome : "";
    const body = { case: "finished" as const, value: { state, outcomeJson } };
    const event = create(SessionEventSchema, { callId, epoch: BigInt(this.lease.epoch), body });
    return Buffer.from(toBinary(SessionEventSchema, event));
  }

  /** The call ran past its wait: it goes on, and the lane is free for the next. Tried until it is recorded, or over. */
  async #detach(callId: CallId): Promise<void> {
    while (this.#running.has(callId)) {
      try {
        const ready = await this.deps.scripts.detach(this.id, this.lease, callId);
        const running = this.#running.get(callId);
        if (running) running.isDetached = true;
        this.#tell(callId, "detached");
        this.#apply(ready);
        return;
      } catch (error) {
        this.#onScriptError(error);
        if (error instanceof FencedError) return;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  #onScriptError(error: unknown): void {
    if (this.#isOver) return;
    if (error instanceof FencedError) this.deps.onFenced(this);
    else this.deps.log.error({ err: error, session: this.id }, "a session's records could not be written");
  }
}

/** Coordinators may be a version ahead of their workers while a deployment is upgraded. */
const unknownTool = (tool: string): ToolFailure =>
  new ToolFailure("UNSUPPORTED", `The session's worker does not know the tool "${tool}"`, {
    hint: "It is older than the server that offers the tool; use another tool, or try again after the upgrade.",
  });
