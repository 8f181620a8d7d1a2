import type { Redis } from "ioredis";
import type { Tool } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, newCallId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts, Submitted } from "../../shared/redis/session-scripts.ts";
import { inSpan } from "../../shared/tracing/in-span.ts";
import { carrierOf, type TraceContext } from "../../shared/tracing/trace-context.ts";
import type { Quotas } from "../quotas/quotas.ts";
import { hashArguments } from "./arguments-hash.ts";
import type { CallWatcher } from "./call-watcher.ts";
import type { Doorbells } from "./doorbells.ts";
import type { MemoryGuard } from "./memory-guard.ts";

/** Control calls have a list of their own, so that a full lane never keeps anybody from killing or closing. */
const MAX_CONTROLS = 1_000;

export interface Accepted {
  callId: CallId;
  /** Which of the requests that asked for the call this one is, from 1. */
  ask: number;
}

export interface Submission {
  sessionId: SessionId;
  principal: string;
  tool: Tool;
  /** Checked arguments without `session_id` and `idempotency_key`. */
  args: Record<string, unknown>;
  key: string | undefined;
  waitMs: number;
  trace: TraceContext;
}

/** Writes a call's record and rings its owner. After it the call survives whatever happens to this process. */
export class Submitter {
  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      watcher: CallWatcher;
      doorbells: Doorbells;
      memory: MemoryGuard;
      quotas: Quotas;
      /** Workers that may be dead; undefined while nobody knows. */
      silentWorkers: () => readonly string[] | undefined;
    },
    private readonly maxDepth: number,
  ) {}

  /**
   * @returns the call, new or the earlier one of the same key; undefined when the session is gone
   * @throws {ToolFailure} QUEUE_FULL, QUOTA_EXCEEDED, IDEMPOTENCY_CONFLICT
   */
  async submit(submission: Submission): Promise<Accepted | undefined> {
    const { sessionId, tool, trace: parent } = submission;
    const attributes = { "codegen.session": sessionId, "gen_ai.tool.name": tool.name };
    return await inSpan("submit", { kind: "PRODUCER", parent, attributes }, (trace) =>
      this.#submit({ ...submission, trace }),
    );
  }

  async #submit(submission: Submission): Promise<Accepted | undefined> {
    const { sessionId, principal, tool, args, key, waitMs, trace } = submission;
    const { scripts, watcher, memory, quotas } = this.deps;
    memory.admit();
    const callId = newCallId(sessionId);
    // Whoever is at their limit must still be able to kill and close.
    const isAdmitted = classOf(tool, args) === "lane" && quotas.admitCall(principal, tool, callId);
    await Promise.all([isAdmitted, watcher.listen(sessionId)]);
    const submitted = await scripts.submit(sessionId, {
      callId,
      principal,
      tool: tool.name,
      class: classOf(tool, args),
      mutates: tool.mutates,
      args: JSON.stringify(args),
      argsHash: hashArguments(tool.name, args),
      key: key ?? "",
      waitMs: Math.max(0, Math.round(waitMs)),
      maxDepth: classOf(tool, args) === "control" ? MAX_CONTROLS : this.maxDepth,
      label: labelOf(tool, args),
      silent: this.deps.silentWorkers(),
      trace,
    });
    if (submitted.kind !== "queued") quotas.withdraw(principal, callId);
    return this.#admit(submitted, submission);
  }

  /** Rings again for a call that is still queued: its doorbell may be lost. */
  async ringAgain(sid: SessionId, callId: CallId, tool: string): Promise<void> {
    const { redis, doorbells } = this.deps;
    const [owner, epoch] = await redis.hmget(keys.session(sid), "owner", "epoch");
    if (!owner) return;
    const ring = await redis.hincrby(keys.session(sid), "ring", 1);
    doorbells.ringCall(owner, { sessionId: sid, callId, tool, epoch: Number(epoch), ring });
  }

  #admit(submitted: Submitted, { sessionId, tool, args, key, trace }: Submission): Accepted | undefined {
    switch (submitted.kind) {
      case "gone":
        return undefined;
      case "conflict":
        throw new ToolFailure("IDEMPOTENCY_CONFLICT", `idempotency_key "${key}" was used with other arguments before`, {
          hint: "Use a new key for a new call.",
        });
      case "full":
        throw new ToolFailure("QUEUE_FULL", `${submitted.depth} calls wait or run in this session already`, {
          hint: "Wait for some of them to end, then repeat the call; it has not started.",
        });
      case "attached":
        return { callId: submitted.callId, ask: submitted.ask };
      case "queued": {
        const { callId, owner, epoch, ring } = submitted;
        if (owner && classOf(tool, args) === "lane") {
          this.deps.doorbells.ringCall(owner, { sessionId, callId, tool: tool.name, epoch, ring, ...carrierOf(trace) });
        }
        return { callId, ask: 1 };
      }
    }
  }
}

/** Which of the session's two lists the call goes to. */
export const classOf = (tool: Tool, args: Record<string, unknown>): "control" | "lane" =>
  tool.class === "control" || tool.overtakes?.(args) ? "control" : "lane";

const LABEL_CHARACTERS = 200;
const labelOf = (tool: Tool, { command, language, code }: Record<string, unknown>): string => {
  if (typeof command === "string") return shorten(command);
  return typeof code === "string" ? shorten(`${language}: ${code}`) : tool.name;
};
const shorten = (text: string): string =>
  text.length > LABEL_CHARACTERS ? `${text.slice(0, LABEL_CHARACTERS)}…` : text;
