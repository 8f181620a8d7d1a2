import { setTimeout as sleep } from "node:timers/promises";
import type { SessionId } from "../../shared/ids.ts";
import { failureOf, type ToolAnswer } from "../support/tool-client.ts";
import { AgentConnection } from "./agent-connection.ts";
import { CarefulAgent } from "./careful-agent.ts";
import type { Effect, SessionLedger } from "./ledger.ts";
import type { Random } from "./random.ts";

/** In the workspace. Every call appends a line of its own. */
export const EFFECTS_FILE = "effects.log";
const WORKSPACE_FILES = 10;
const FILE_KB = 1_024;
const SLEEP_MS = [100, 2_500] as const;
/** Of the calls, those that write a file of their own, and those that only read. */
const WRITES = 0.1;
const READS = 0.1;

/** One client with a session of its own, working through a script until it is told to stop. */
export class ScriptedSession {
  readonly agent: CarefulAgent;

  constructor(
    url: string,
    readonly ledger: SessionLedger,
    private readonly random: Random,
    signal: AbortSignal,
    /** Whether the workspace gets its 10 MB. */
    private readonly isLarge: boolean,
  ) {
    this.agent = new CarefulAgent(new AgentConnection(url, ledger.era), signal);
  }

  async open(): Promise<void> {
    const { token, durability } = this.ledger;
    const args = { idempotency_key: `open-${token}`, ...(durability ? { durability } : {}), memory_mb: 128 };
    const { isError, structured } = await this.agent.call("create_session", args);
    if (isError) throw new Error(`no session: ${JSON.stringify(structured)}`);
    this.ledger.id = structured.session_id as SessionId;
    if (!this.isLarge) return;
    const command = `for i in $(seq ${WORKSPACE_FILES}); do head -c ${FILE_KB}K /dev/urandom > data-$i; done`;
    const filled = await this.agent.call("run_command", {
      ...this.#named(),
      command,
      idempotency_key: `fill-${token}`,
    });
    if (filled.structured.exit_code !== 0) throw new Error(`no workspace: ${JSON.stringify(filled.structured)}`);
  }

  /** One call after the other until `until` aborts. The last one is waited for. */
  async work(until: AbortSignal): Promise<void> {
    while (!until.aborted && this.ledger.goneWith === undefined) {
      const kind = this.random.next();
      if (kind < READS) await this.#read();
      else if (kind < READS + WRITES) await this.#write();
      else await this.append();
    }
  }

  /** Appends this call's line to the file after `seconds`. */
  async append(seconds = this.random.integer(...SLEEP_MS) / 1000): Promise<void> {
    const number = this.ledger.effects.length + 1;
    const line = `${this.ledger.token} ${number}`;
    const command = `sleep ${seconds}; echo "${line}" >> ${EFFECTS_FILE}; echo "${line}"`;
    await this.#mutate("run_command", { command }, number, (answer) => {
      if (answer.structured.status !== "exited" || answer.structured.exit_code !== 0) return false;
      if (answer.structured.stdout !== `${line}\n`)
        this.ledger.wrongDeliveries.push(`"${answer.structured.stdout}" for "${line}"`);
      return true;
    });
  }

  /** A call that changes nothing, to see that the session works. */
  async look(): Promise<boolean> {
    const startedAt = performance.now();
    const command = { command: "true", idempotency_key: `look-${startedAt}` };
    const answer = await this.agent.call("run_command", { ...this.#named(), ...command });
    const { structured } = answer;
    this.#hear(structured);
    if (failureOf(answer) === "SESSION_NOT_FOUND") this.ledger.goneWith = answer.text;
    if (structured.exit_code === 0) this.#succeeded(startedAt);
    return structured.exit_code === 0;
  }

  async close(): Promise<void> {
    await this.agent.call("close_session", this.#named());
    this.agent.connection.close();
  }

  #named(): { session_id: SessionId } {
    return { session_id: this.ledger.id };
  }

  async #write(): Promise<void> {
    const number = this.ledger.effects.length + 1;
    const content = `${this.ledger.token} ${number}\n`;
    const path = `notes/${number}`;
    await this.#mutate("write_file", { path, content }, number, ({ structured }) => {
      if (!String(structured.path).endsWith(path)) this.ledger.wrongDeliveries.push(`${structured.path} for ${path}`);
      return true;
    });
  }

  /** A look through the call path itself; what counts is read by another way, afterwards. */
  async #read(): Promise<void> {
    const startedAt = performance.now();
    const { isError, structured } = await this.agent.call("read_file", { ...this.#named(), path: EFFECTS_FILE });
    this.#hear(structured);
    if (isError) return;
    this.#succeeded(startedAt);
    const foreign = String(structured.content)
      .split("\n")
      .filter((line) => line && !line.startsWith(`${this.ledger.token} `));
    if (foreign.length > 0 && !structured.truncated) this.ledger.wrongDeliveries.push(`"${foreign[0]}" was read`);
    await sleep(SLEEP_MS[0]);
  }

  async #mutate(tool: string, own: object, number: number, isGood: (answer: ToolAnswer) => boolean): Promise<void> {
    const key = `${this.ledger.token}-${number}`;
    const args = { ...this.#named(), ...own, idempotency_key: key };
    const effect: Effect = { number, key, tool, args, startedAt: performance.now(), isExcused: false, ranMs: 0 };
    this.ledger.effects.push(effect);
    const answer = await this.agent.call(tool, args, {
      onBroken: () => {
        effect.brokenAt ??= performance.now();
      },
      onFailure: (code) => {
        if (code === "SESSION_RESET") this.ledger.resets++;
        if (code !== "SESSION_RESET" && code !== "OUTCOME_UNKNOWN") return;
        effect.toldAt ??= performance.now();
        this.ledger.lost();
      },
    });
    const { structured } = answer;
    effect.endedAt = performance.now();
    this.#hear(structured);
    const code = failureOf(answer);
    if (code === "SESSION_NOT_FOUND") this.ledger.goneWith = answer.text;
    if (code !== undefined) {
      Object.assign(effect, { end: code === "OUTCOME_UNKNOWN" ? "unknown" : "refused", why: code });
    } else if (isGood(answer)) {
      if (structured.effects_lost === true) effect.isExcused = true;
      if (structured.durable === false) this.ledger.notDurable++;
      if (structured.durable === false) effect.isExcused = true;
      Object.assign(effect, { end: "acknowledged", processId: structured.process_id });
      effect.ranMs = Number(structured.duration_ms ?? 0);
      this.#succeeded(effect.startedAt);
    } else {
      Object.assign(effect, { end: "refused", why: String(structured.status) }); // killed with its agent, say
    }
  }

  #hear({ notice }: { notice?: unknown }): void {
    if (notice !== undefined) this.ledger.notice(String(notice));
  }

  #succeeded(startedAt: number): void {
    this.ledger.successes.push({ startedAt, endedAt: performance.now() });
  }
}
