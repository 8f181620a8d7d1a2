import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, type ProcessId, processIdOf, type SessionId } from "../../shared/ids.ts";
import { FencedError, type Lease, type SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { ExitEvent, OutputEvent, Sandbox, SandboxListener } from "../sandbox/sandbox.ts";
import type { OutputWindow } from "./output-window.ts";
import { type ProcessEnd, ProcessRecorder, UNSEEN_END } from "./process-recorder.ts";

interface LiveProcess {
  recorder: ProcessRecorder;
  ended: (end: ProcessEnd) => void;
  end: Promise<ProcessEnd>;
}

/** What a process is started with; the agent runs `command` by bash. */
export interface CommandSpec {
  command: string;
  /** Empty for the workdir. */
  cwd: string;
  env: Record<string, string>;
  stdin: Uint8Array;
  /** 0 for none. */
  timeoutMs: bigint;
  /** Keep stdin open after `stdin` was written. */
  keepStdin: boolean;
  /** Size of a terminal; 0 for none. */
  ptyRows: number;
  ptyColumns: number;
}

export interface StartedProcess {
  end: Promise<ProcessEnd>;
  recorder: ProcessRecorder;
}

/**
 * A session's container as its calls see it: there once it was provided, with the processes that run in it. Output and
 * exits come from the agent and go to the records.
 */
export class SessionWorkspace implements SandboxListener {
  readonly #live = new Map<ProcessId, LiveProcess>();
  readonly #provided: Promise<Sandbox>;
  #provide!: (sandbox: Sandbox) => void;
  #fail!: (error: unknown) => void;
  #held: Sandbox | undefined;
  #sandbox: Sandbox | undefined;

  constructor(
    private readonly deps: { scripts: SessionScripts; log: Logger; onDied: (reason: string) => void },
    readonly id: SessionId,
    readonly lease: Lease,
  ) {
    this.#provided = new Promise((resolve, reject) => {
      this.#provide = resolve;
      this.#fail = reject;
    });
    this.#provided.catch(() => {}); // whoever waits for it is told
  }

  /** This will be the session's container; it is made ready, and removed with the session already. */
  hold(sandbox: Sandbox): void {
    this.#held = sandbox;
  }

  /** The container of this session stands. */
  provide(sandbox: Sandbox): void {
    this.#sandbox = sandbox;
    this.#provide(sandbox);
  }

  /** There will be no container: every call that waits for it fails with `error`. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  async sandbox(): Promise<Sandbox> {
    return this.#sandbox ?? (await this.#provided);
  }

  /** The container, also while it is made ready: to vouch for it, and to remove it. */
  get container(): Sandbox | undefined {
    return this.#held;
  }

  endOf(id: ProcessId): Promise<ProcessEnd> | undefined {
    return this.#live.get(id)?.end;
  }

  /** Before `spawn`, by every tool but run_command: its calls have a process from their start. */
  async begin(callId: CallId): Promise<void> {
    await this.deps.scripts.beginProcess(this.id, this.lease, callId);
  }

  /** Records a call's output, which its client is told while the call runs. */
  recorder(
    callId: CallId,
    windows: { stdout: OutputWindow; stderr: OutputWindow },
    onRecorded: (offset: number) => void,
  ): ProcessRecorder {
    const { scripts } = this.deps;
    const onError = (error: unknown): void => this.#onRecordError(error);
    return new ProcessRecorder({ scripts, sid: this.id, lease: this.lease, callId, windows, onRecorded, onError });
  }

  /** @throws {ToolFailure} when the agent refuses or cannot start it; then there is no process */
  async spawn(
    callId: CallId,
    spec: CommandSpec,
    windows: { stdout: OutputWindow; stderr: OutputWindow },
  ): Promise<StartedProcess> {
    const sandbox = await this.sandbox();
    const processId = processIdOf(callId);
    const recorder = this.recorder(callId, windows, (offset) => sandbox.ackOutput(processId, offset));
    let ended: (end: ProcessEnd) => void = () => {};
    const end = new Promise<ProcessEnd>((resolve) => {
      ended = resolve;
    });
    this.#live.set(processId, { recorder, ended, end });
    try {
      await sandbox.spawn({ ...spec, processId });
    } catch (error) {
      this.#live.delete(processId);
      // It may have started all the same: nothing that nobody follows shall go on.
      if (error instanceof ToolFailure && error.code === "OUTCOME_UNKNOWN")
        void this.kill(processId, "SIGKILL").catch(() => {});
      recorder.ended({ ...UNSEEN_END, status: "killed" });
      throw error;
    }
    return { end, recorder };
  }

  /** Whether anything runs that this call did not start. */
  runsProcessesBesides(callId: CallId | undefined): boolean {
    const own = callId && processIdOf(callId);
    return [...this.#live.keys()].some((id) => id !== own);
  }

  /** Ends every process. @returns how many there were */
  async endAll(): Promise<number> {
    const ends = [...this.#live.values()].map(({ end }) => end);
    this.killAll();
    await Promise.all(ends);
    return ends.length;
  }

  killAll(): void {
    for (const id of this.#live.keys()) void this.kill(id, "SIGKILL").catch(() => {}); // gone with its container then
  }

  async kill(id: ProcessId, signal: string): Promise<void> {
    const sandbox = await this.sandbox();
    await sandbox.kill(id, signal);
  }

  async writeStdin(id: ProcessId, data: Uint8Array, close: boolean): Promise<void> {
    const sandbox = await this.sandbox();
    await sandbox.writeStdin(id, data, close);
  }

  onOutput(processId: string, { offset, isStderr, data }: OutputEvent): void {
    this.#live.get(processId as ProcessId)?.recorder.output(offset, isStderr, Buffer.from(data));
  }

  onExited(processId: string, exit: ExitEvent): void {
    const { signal, exitCode, durationMs } = exit;
    const status = exit.timedOut ? "timed_out" : exit.killed || signal ? "killed" : "exited";
    const isExit = status === "exited";
    const end = {
      exitCode: isExit ? exitCode : null,
      signal: signal || null,
      durationMs,
      outOfMemory: exit.outOfMemory,
      logBytes: exit.logBytes,
    };
    this.#end(processId as ProcessId, { status, ...end });
    setImmediate(() => this.#sandbox?.ackExit(processId)); // nobody waits for it, but somebody for the call's end
  }

  /** The agent came back after it was killed; everything else in the container was killed with it. */
  onRestarted(lostProcessIds: string[]): void {
    const end = { ...UNSEEN_END, status: "killed", signal: "SIGKILL" } as const;
    for (const id of lostProcessIds) this.#end(id as ProcessId, end);
  }

  onDied(reason: string): void {
    this.deps.onDied(reason);
  }

  #end(id: ProcessId, end: ProcessEnd): void {
    const live = this.#live.get(id);
    if (!live) return;
    this.#live.delete(id);
    live.recorder.ended(end);
    live.ended(end);
  }

  #onRecordError(error: unknown): void {
    if (error instanceof FencedError) return; // the session's next pull finds out and ends it
    this.deps.log.error({ err: error, session: this.id }, "output could not be recorded");
  }
}
