import { setTimeout as sleep } from "node:timers/promises";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";

const BETWEEN_CALLS_MS = 200;
/** What a client is told to try again, it does. */
const RETRY_MS = 500;

interface SteadyAgent {
  client: ToolClient;
  session: string;
  done: number;
}

/** Agents that go on calling, each in a session of its own, and count what they were told. */
export class SteadyAgents {
  readonly #agents: SteadyAgent[] = [];
  readonly #problems: string[] = [];
  #isOver = false;
  #working: Promise<void> | undefined;

  static async open(url: string, headers: Record<string, string>, count: number): Promise<SteadyAgents> {
    const agents = new SteadyAgents();
    await Promise.all(
      Array.from({ length: count }, async () => {
        const client = await connectModern(url, headers);
        const created = await agents.#finished(client, await client.call("create_session", { memory_mb: 64 }));
        agents.#agents.push({ client, session: String(created.structured.session_id), done: 0 });
      }),
    );
    return agents;
  }

  get sessions(): string[] {
    return this.#agents.map(({ session }) => session);
  }

  get calls(): number {
    return this.#agents.reduce((sum, { done }) => sum + done, 0);
  }

  start(): void {
    this.#working ??= Promise.all(this.#agents.map((agent) => this.#work(agent))).then(() => {});
  }

  /** Resolves when every agent made this many calls more. */
  async callsMore(count: number): Promise<void> {
    const goals = this.#agents.map(({ done }) => done + count);
    while (this.#agents.some(({ done }, i) => done < (goals[i] ?? 0))) {
      if (this.#problems.length > 0) return; // `stop` tells them
      await sleep(BETWEEN_CALLS_MS);
    }
  }

  /** @returns what was not as promised: nothing, if each call was done once and told rightly */
  async stop(): Promise<string[]> {
    this.#isOver = true;
    await this.#working;
    for (const { client, session, done } of this.#agents) {
      const command = "cat log | sort -n | uniq -c | awk '$1 != 1' | wc -l; cat log | wc -l";
      const answer = await this.#finished(client, await client.call("run_command", { session_id: session, command }));
      const [doubled, lines] = String(answer.structured.stdout).split("\n").map(Number);
      if (doubled !== 0 || lines !== done)
        this.#problems.push(
          `${session}: ${done} calls were told as done, ${lines} left a line, ${doubled} more than one`,
        );
      await client.call("close_session", { session_id: session });
      await client.close();
    }
    return this.#problems;
  }

  async #work(agent: SteadyAgent): Promise<void> {
    while (!this.#isOver) {
      const number = agent.done + 1;
      const args = { session_id: agent.session, command: `echo ${number} | tee -a log`, idempotency_key: `n${number}` };
      try {
        const answer = await this.#finished(agent.client, await agent.client.call("run_command", args));
        if (answer.structured.retryable === true) {
          await sleep(RETRY_MS);
          continue;
        }
        if (answer.isError || answer.structured.stdout !== `${number}\n` || answer.structured.notice)
          this.#problems.push(`${agent.session}, call ${number}: ${JSON.stringify(answer.structured)}`);
      } catch (error) {
        this.#problems.push(`${agent.session}, call ${number}: ${error}`);
      }
      agent.done = number;
      await sleep(BETWEEN_CALLS_MS);
    }
  }

  /** A call that outlives its wait is asked for until it ended. */
  async #finished(client: ToolClient, answer: ToolAnswer): Promise<ToolAnswer> {
    const { status, call_id } = answer.structured;
    if (answer.isError || (status !== "running" && status !== "queued")) return answer;
    const later = await client.call("get_call", { call_id, wait_ms: 20_000 });
    if (failureOf(later)) return later;
    if (later.structured.state !== "done") return await this.#finished(client, answer);
    return { ...later, structured: later.structured.result as Record<string, unknown> };
  }
}
