import { randomBytes } from "node:crypto";
import type { DeathReason, ExitEvent, OutputEvent, Sandbox, SandboxListener } from "../../worker/sandbox/sandbox.ts";
import { VOUCHED_FOR_EVER } from "../../worker/sandbox/vouch.ts";

export interface RunResult extends ExitEvent {
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  timeoutMs?: number;
  terminal?: { rows: number; columns: number };
}

interface Run {
  stdout: Buffer[];
  stderr: Buffer[];
  onExit: (exit: ExitEvent) => void;
  onLost: (error: Error) => void;
  onStdout: (() => void)[];
}

export interface Started {
  processId: string;
  pid: number;
  /** Rejects when the agent was restarted, or the sandbox died, meanwhile. */
  exit: Promise<RunResult>;
  /** Resolves when stdout holds the text. */
  says(text: string): Promise<void>;
}

/** A claimed sandbox, driven as a session's lane drives it: every output and exit is acknowledged at once. */
export class TestSandbox implements SandboxListener {
  readonly #runs = new Map<string, Run>();
  readonly #waiting: { restart: (() => void)[]; death: ((reason: DeathReason) => void)[] } = { restart: [], death: [] };
  /** Called with each chunk before it is acknowledged; the acknowledgement waits for it. */
  beforeAck: (output: OutputEvent) => Promise<void> | void = () => {};

  private constructor(readonly sandbox: Sandbox) {}

  static async claim(sandbox: Sandbox, env: Record<string, string> = {}, epoch = 1n): Promise<TestSandbox> {
    const claimed = new TestSandbox(sandbox);
    const sessionId = `ses_${randomBytes(5).toString("hex")}`;
    const vouch = VOUCHED_FOR_EVER;
    await sandbox.claim({ sessionId, principal: "p", epoch, env, memoryMb: 256, cpus: 1, vouch, listener: claimed });
    return claimed;
  }

  async start(command: string, options: RunOptions = {}): Promise<Started> {
    const processId = `proc_${randomBytes(6).toString("hex")}`;
    const run: Run = { stdout: [], stderr: [], onExit: () => {}, onLost: () => {}, onStdout: [] };
    const exit = new Promise<RunResult>((resolve, reject) => {
      run.onExit = (exit) =>
        resolve({
          ...exit,
          stdout: Buffer.concat(run.stdout).toString(),
          stderr: Buffer.concat(run.stderr).toString(),
        });
      run.onLost = reject;
    });
    exit.catch(() => {}); // whoever wants it awaits it
    this.#runs.set(processId, run);
    const { cwd = "", env = {}, stdin = "", timeoutMs = 0, terminal } = options;
    const keepStdin = options.stdin === undefined && command.includes("#stdin");
    const pid = await this.sandbox.spawn({
      ...{ processId, command, cwd, env, keepStdin },
      ...(terminal ? { ptyRows: terminal.rows, ptyColumns: terminal.columns } : {}),
      stdin: Buffer.from(stdin),
      timeoutMs: BigInt(timeoutMs),
    });
    const says = (text: string) =>
      new Promise<void>((resolve) => {
        const check = () => {
          if (Buffer.concat(run.stdout).includes(text)) resolve();
        };
        run.onStdout.push(check);
        check();
      });
    return { processId, pid, exit, says };
  }

  async run(command: string, options: RunOptions = {}): Promise<RunResult> {
    return await (await this.start(command, options)).exit;
  }

  /** What runs in the container besides PID 1, the agent and its waiting runner, zombies included. */
  async processes(): Promise<string[]> {
    const { stdout } = await this.run("ps -e -o stat= -o args=");
    return stdout
      .split("\n")
      .filter((line) => line.trim() !== "" && !/\/opt\/codegen\/(init|node)|ps -e -o/.test(line))
      .map((line) => line.trim());
  }

  restarted(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.restart.push(resolve));
  }

  died(): Promise<DeathReason> {
    return new Promise((resolve) => void this.#waiting.death.push(resolve));
  }

  onOutput(processId: string, output: OutputEvent): void {
    const run = this.#runs.get(processId);
    (output.isStderr ? run?.stderr : run?.stdout)?.push(Buffer.from(output.data));
    for (const check of run?.onStdout ?? []) check();
    const end = output.offset + output.data.length;
    void Promise.resolve(this.beforeAck(output)).then(() => this.sandbox.ackOutput(processId, end));
  }

  onExited(processId: string, exit: ExitEvent): void {
    this.sandbox.ackExit(processId);
    this.#runs.get(processId)?.onExit(exit);
    this.#runs.delete(processId);
  }

  onRestarted(lostProcessIds: string[]): void {
    for (const processId of lostProcessIds) {
      this.#runs.get(processId)?.onLost(new Error("the agent was restarted"));
      this.#runs.delete(processId);
    }
    for (const resolve of this.#waiting.restart.splice(0)) resolve();
  }

  onDied(reason: DeathReason): void {
    for (const run of this.#runs.values()) run.onLost(new Error(`the sandbox died: ${reason}`));
    for (const resolve of this.#waiting.death.splice(0)) resolve(reason);
  }
}
