import type { RunCode, StopCode } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure } from "../failure.ts";
import type { Fence } from "../fence.ts";
import type { OomKills } from "../oom-kills.ts";
import type { OutputLog } from "../output-log.ts";
import type { RunnerSupply } from "../runner-supply.ts";
import type { ProcessListener } from "../session-process.ts";
import { CodeRun, INTERRUPT_GRACE_MS } from "./code-run.ts";
import { Interpreter } from "./interpreter.ts";
import { commandOf, findLanguage } from "./languages.ts";

/** Each holds 10 to 50 MB. */
const INTERPRETERS_MAX = 16;
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** The session's interpreters by language and context; each is started when it is first needed. */
export class Interpreters {
  readonly #starting = new Set<string>();
  readonly #interpreters = new Map<string, Interpreter>();
  #started = 0;

  constructor(
    private readonly deps: {
      runners: RunnerSupply;
      workdir: string;
      environment: () => Record<string, string>;
      oomKills: OomKills;
      fence: Fence;
    },
  ) {}

  /** Resolves once the code was handed to its interpreter. @throws {AgentFailure} when it was not: then it never runs */
  async run(spec: RunCode, log: OutputLog, listener: ProcessListener): Promise<CodeRun> {
    const { language, context, code, reset } = spec;
    if (!/^[\w.-]{1,64}$/.test(context)) throw new AgentFailure("INVALID_ARGUMENT", "Cannot run code: bad context");
    const interpreter = await this.#take(language, context, reset);
    const control = {
      stop: (graceMs: number) => interpreter.stop(graceMs),
      signal: (signal: NodeJS.Signals) => interpreter.signal(signal),
      onFull: (isFull: boolean) => interpreter.pause(isFull),
    };
    const timeoutMs = Math.min(Number(spec.timeoutMs), TIMEOUT_MAX_MS);
    const run = new CodeRun(control, this.deps.oomKills, log, this.deps.fence, listener);
    interpreter.run(run, code);
    run.begin(timeoutMs);
    return run;
  }

  /** Interrupts what runs in a context, or with `reset` ends its interpreter. */
  async stop({ language, context, reset }: StopCode): Promise<{ wasRunning: boolean; isStateLost: boolean }> {
    findLanguage(language);
    const interpreter = this.#interpreters.get(`${language}/${context}`);
    if (!interpreter) return { wasRunning: false, isStateLost: false };
    const wasRunning = interpreter.isBusy;
    await (reset ? interpreter.end() : interpreter.stop(INTERRUPT_GRACE_MS));
    return { wasRunning, isStateLost: interpreter.isOver };
  }

  /** An interpreter that is not busy, the one that is there or a new one. */
  async #take(languageName: string, context: string, reset: boolean): Promise<Interpreter> {
    const key = `${languageName}/${context}`;
    if (reset) await this.#interpreters.get(key)?.end();
    const present = this.#interpreters.get(key);
    if (present?.isBusy || this.#starting.has(key))
      throw new AgentFailure(
        "QUEUE_FULL",
        `Context "${context}" still runs earlier ${languageName} code: wait for its end, interrupt it, or use another context`,
      );
    if (present && !present.isOver) return present;
    if (this.#interpreters.size + this.#starting.size >= INTERPRETERS_MAX)
      throw new AgentFailure(
        "QUOTA_EXCEEDED",
        `A session has ${INTERPRETERS_MAX} interpreters at most; reset a context that is no longer needed`,
      );
    this.#starting.add(key);
    try {
      const interpreter = await this.#start(key, languageName, context);
      this.#interpreters.set(key, interpreter);
      return interpreter;
    } finally {
      this.#starting.delete(key);
    }
  }

  async #start(key: string, languageName: string, context: string): Promise<Interpreter> {
    const { runners, workdir, environment } = this.deps;
    const language = findLanguage(languageName);
    const id = `interpreter-${++this.#started}`;
    const env: Record<string, string> = { ...environment(), CODEGEN_CALL: id };
    const argv = commandOf(language, env.PATH);
    const runner = await runners.take();
    const command = { argv, env, marker: `CODEGEN_CALL=${id}` };
    const interpreter: Interpreter = new Interpreter(language, context, workdir, runner, command, () => {
      if (this.#interpreters.get(key) === interpreter) this.#interpreters.delete(key);
      runners.refill();
    });
    setImmediate(() => runners.refill());
    return interpreter;
  }
}
