import { setTimeout as sleep } from "node:timers/promises";
import { failureOf, type ToolAnswer } from "../support/tool-client.ts";
import { type AgentConnection, NoAnswer } from "./agent-connection.ts";

type Structured = Record<string, unknown>;

const WAIT_MS = 10_000;
/** Above the soft wait: past it the connection is taken for dead. */
const ANSWER_MS = WAIT_MS + 3_000;
const RETRY_MS = 200;
/** How long a client goes on asking for one answer. Above every outage that the faults make. */
const PATIENCE_MS = 120_000;

/** Did not start, or the store or a sandbox could not be reached: the same call with the same key may be sent again. */
const TRY_AGAIN = new Set(["STORE_UNAVAILABLE", "QUEUE_FULL", "NO_CAPACITY", "SANDBOX_UNAVAILABLE", "SESSION_RESET"]);

export interface CallWatch {
  /** The connection broke or stayed silent. */
  onBroken(): void;
  onFailure(code: string): void;
}

/** Calls tools as a careful agent does: the same key after every transport error, and it follows what outlives the wait. */
export class CarefulAgent {
  constructor(
    readonly connection: AgentConnection,
    private readonly signal: AbortSignal,
  ) {}

  /** The call's own end. @throws {Error} when none came while the agent had patience */
  async call(name: string, args: Structured, watch?: CallWatch): Promise<ToolAnswer> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await this.#answer(name, args, until, watch);
      const { call_id, status } = answer.structured;
      const isOpen = !answer.isError && (status === "queued" || status === "running") && call_id !== undefined;
      const end = isOpen ? await this.#follow(call_id, until, watch) : answer;
      const code = failureOf(end);
      if (code !== undefined) watch?.onFailure(code);
      if (code === undefined || !TRY_AGAIN.has(code)) return end;
      this.#checkPatience(name, until, code);
      await sleep(RETRY_MS);
    }
  }

  /** What the call ended with, as the tool itself would have told it. */
  async #follow(callId: unknown, until: number, watch: CallWatch | undefined): Promise<ToolAnswer> {
    for (;;) {
      const answer = await this.#answer("get_call", { call_id: callId, wait_ms: WAIT_MS }, until, watch);
      const { failure, result, notice } = answer.structured as {
        failure?: Structured;
        result?: Structured;
        notice?: string;
      };
      if (failure) return { ...answer, isError: true, structured: { notice, ...failure } };
      if (result) return { ...answer, structured: { ...(notice ? { notice } : {}), ...result } };
      const code = failureOf(answer);
      if (code !== undefined && code !== "STORE_UNAVAILABLE") return answer;
      if (code !== undefined) await sleep(RETRY_MS);
      this.#checkPatience("get_call", until, "it is still open");
    }
  }

  async #answer(name: string, args: Structured, until: number, watch: CallWatch | undefined): Promise<ToolAnswer> {
    for (;;) {
      try {
        return await this.connection.call(name, args, ANSWER_MS);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        watch?.onBroken();
        this.#checkPatience(name, until, error.message);
        await sleep(RETRY_MS);
      }
    }
  }

  #checkPatience(name: string, until: number, last: string): void {
    this.signal.throwIfAborted();
    if (performance.now() > until) throw new Error(`${name} had no end within ${PATIENCE_MS / 1000} s; last: ${last}`);
  }
}
