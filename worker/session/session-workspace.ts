import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, callIdOf, type ProcessId, processIdOf, type SessionId } from "../../shared/ids.ts";
import type { ProcessRecord } from "../../shared/process-record.ts";
import { FencedError, type Lease, type RecordedEnd, type SessionScripts } from "../../shared/redis/session-scripts.ts";
import { masked } from "../masking/output-mask.ts";
import type { SecretMask } from "../masking/secret-mask.ts";
import type { ExitEvent, OutputEvent, Sandbox, SandboxListener } from "../sandbox/sandbox.ts";
import type { Vouch } from "../sandbox/vouch.ts";
import { outcomeUnknown } from "./going-on.ts";
import type { OutputWindow } from "./output-window.ts";
import { type OutputMetrics, type ProcessEnd, ProcessRecorder, UNSEEN_END } from "./process-recorder.ts";

interface LiveProcess {
  recorder: ProcessRecorder;
  ended: (end: ProcessEnd) => void;
  end: Promise<ProcessEnd>;
  /** Its end is recorded in one with its call's. */
  endsWithCall: boolean;
}

/** A process's end that is to be recorded with its call's. */
interface KeptEnd {
  end: RecordedEnd;
  /** Nobody needs the agent to know of it any more. */
  onRecorded: () => void;
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
  /** Its end is its call's, so that the agent need not be told of that. */
  endsCall: boolean;
  /** Size of a terminal; 0 for none. */
  ptyRows: number;
  ptyColumns: number;
}

/** Code for an interpreter of the session. */
export interface InterpreterSpec {
  language: string;
  context: string;
  code: string;
  reset: boolean;
  /** 0 for none. */
  timeoutMs: bigint;
}

export interface StartedProcess {
  end: Promise<ProcessEnd>;
  recorder: ProcessRecorder;
}

interface Windows {
  stdout: OutputWindow;
  stderr: OutputWindow;
}

/** A process of an earlier owner, whose output so far stands in the records. */
interface AdoptedProcess extends StartedProcess {
  fill: (windows: Windows) => Promise<void>;
  /** It was over before: its value and images, which only the agent knew, are gone. */
  isOver?: true;
}

/**
 * A session's container as its calls see it: there once it was provided, with the processes that run in it. Output and
 * exits come from the agent and go to the records.
 */
export class SessionWorkspace implements SandboxListener {
  readonly #live = new Map<ProcessId, LiveProcess>();
  /** Calls that run, and whose end the agent sees. */
  readonly #markedByAgent = new Set<CallId>();
  readonly #adopted = new Map<ProcessId, AdoptedProcess>();
  readonly #kept = new Map<CallId, KeptEnd>();
  readonly #provided: Promise<Sandbox>;
  #provide!: (sandbox: Sandbox) => void;
  #fail!: (error: unknown) => void;
  #held: Sandbox | undefined;
  #isLeft = false;
  readonly #recording = new Set<Promise<void>>();
  #sandbox: Sandbox | undefined;

  constructor(
    private readonly deps: {
      scripts: SessionScripts;
      metrics: OutputMetrics;
      log: Logger;
      onDied: (reason: string) => void;
      /** What is masked in what its calls tell; undefined for nothing. */
      secrets?: SecretMask | undefined;
    },
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
    windows: Windows | undefined,
    onRecorded: (offset: number) => void,
    before?: { bytes: number; lastId: string },
  ): ProcessRecorder {
    const { scripts, metrics, secrets } = this.deps;
    const { id: sid, lease } = this;
    const onError = (error: unknown): void => this.#onRecordError(error);
    const rest = windows ? { windows } : {};
    return new ProcessRecorder({ scripts, sid, lease, callId, secrets, onRecorded, onError, metrics, ...rest }, before);
  }

  /** Text of user code that goes to the client by another way than a process's output. */
  masked(text: Buffer): Buffer {
    const { secrets } = this.deps;
    return secrets ? masked(secrets, text) : text;
  }

  /**
   * Starts the call's process; goes on with it where an earlier owner of the session has started it.
   * @param endsWithCall the call ends after it, and records its end: see `takeEnd`
   * @throws {ToolFailure} when the agent refuses or cannot start it; then there is no process
   */
  async spawn(callId: CallId, spec: CommandSpec, windows: Windows, endsWithCall: boolean): Promise<StartedProcess> {
    const begin = (sandbox: Sandbox, processId: ProcessId) => sandbox.spawn({ ...spec, processId });
    const started = await this.#start(callId, begin, windows, endsWithCall);
    if (spec.endsCall) this.#markedByAgent.add(callId);
    return started;
  }

  /** A call that may have changed files has ended. */
  mark(callId: CallId): void {
    if (!this.#markedByAgent.delete(callId)) this.container?.markWorkspace();
  }

  /** The run of the code is a process like another. @throws as `spawn`; OUTCOME_UNKNOWN when its value is known no more */
  async runCode(callId: CallId, spec: InterpreterSpec, windows: Windows): Promise<StartedProcess> {
    if (this.#adopted.get(processIdOf(callId))?.isOver) throw outcomeUnknown();
    const begin = (sandbox: Sandbox, processId: ProcessId) => sandbox.runCode({ ...spec, processId });
    return await this.#start(callId, begin, windows, true);
  }

  /** The end of the call's process, for whoever records the call's: two writes would be synced one after the other. */
  takeEnd(callId: CallId): KeptEnd | undefined {
    const kept = this.#kept.get(callId);
    this.#kept.delete(callId);
    return kept;
  }

  async #start(
    callId: CallId,
    begin: (sandbox: Sandbox, processId: ProcessId) => Promise<unknown>,
    windows: Windows,
    endsWithCall: boolean,
  ): Promise<StartedProcess> {
    const processId = processIdOf(callId);
    const adopted = this.#adopted.get(processId);
    if (adopted) return follow(adopted, windows);
    const sandbox = await this.sandbox();
    const { recorder, end } = this.#follow(callId, { windows, endsWithCall });
    try {
      await begin(sandbox, processId);
    } catch (error) {
      this.#live.delete(processId);
      // It may have started all the same: nothing that nobody follows shall go on.
      if (error instanceof ToolFailure && error.code === "OUTCOME_UNKNOWN")
        void this.kill(processId, "SIGKILL").catch(() => {});
      if (!this.#isLeft) void this.#record(recorder, { ...UNSEEN_END, status: "killed" });
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
    void this.killAll();
    await Promise.all(ends);
    return ends.length;
  }

  /** A process that an earlier owner started: its output goes on behind what the records hold of it. */
  adopt({ id, bytes }: ProcessRecord, lastId: string, fill: AdoptedProcess["fill"]): void {
    const process = this.#follow(callIdOf(id), { before: { bytes, lastId } });
    this.#adopted.set(id, { ...process, fill });
  }

  /** A process of an earlier owner that is over: whoever asks for it anew gets its end. */
  adoptEnd({ id, bytes, ...process }: ProcessRecord, lastId: string, fill: AdoptedProcess["fill"]): void {
    const { status, exitCode, signal, durationMs = 0, logBytes } = process;
    const recorder = this.recorder(callIdOf(id), undefined, () => {}, { bytes, lastId });
    const end = Promise.resolve({ status, exitCode, signal, durationMs, outOfMemory: false, logBytes });
    this.#adopted.set(id, { recorder, end, fill, isOver: true });
  }

  /** The agent knows nothing of an adopted process. @param mayStart its call may start it: the agent refuses a second start */
  disown(id: ProcessId, mayStart: boolean): void {
    if (!this.#live.has(id)) return; // its end is known meanwhile
    if (mayStart) this.#adopted.delete(id);
    if (mayStart) this.#live.delete(id);
    else this.#end(id, { ...UNSEEN_END, status: "lost" });
  }

  /** Lets go of the container for the next owner. Resolves when all that the agent said so far is recorded. */
  async leave(vouch: Vouch): Promise<void> {
    this.#isLeft = true;
    this.#sandbox?.vouch(vouch);
    await this.#sandbox?.leave(); // the agent keeps what comes from now on
    await Promise.all([...this.#live.values()].map(({ recorder }) => recorder.flushed()));
    await Promise.all(this.#recording);
  }

  /** Resolves when nothing runs any more. */
  async killAll(): Promise<void> {
    const killing = [...this.#live.keys()].map((id) => this.kill(id, "SIGKILL"));
    await Promise.allSettled(killing); // gone with its container then
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
    if (exit.outOfMemory) this.deps.metrics.oomKilled();
    const end = {
      exitCode: isExit ? exitCode : null,
      signal: signal || null,
      durationMs,
      outOfMemory: exit.outOfMemory,
      logBytes: exit.logBytes,
      code: exit.code && { ...exit.code, result: this.masked(Buffer.from(exit.code.result)).toString() },
    };
    this.#end(processId as ProcessId, { status, ...end }, () => this.#sandbox?.ackExit(processId));
  }

  /** The agent came back after it was killed; everything else in the container was killed with it. */
  onRestarted(lostProcessIds: string[]): void {
    const end = { ...UNSEEN_END, status: "killed", signal: "SIGKILL" } as const;
    for (const id of lostProcessIds) this.#end(id as ProcessId, end);
  }

  onDied(reason: string): void {
    this.deps.onDied(reason);
  }

  /** @param onRecorded called once nobody needs the agent to know of the end any more */
  #end(id: ProcessId, end: ProcessEnd, onRecorded = (): void => {}): void {
    const live = this.#live.get(id);
    if (!live) {
      onRecorded();
      return;
    }
    this.#live.delete(id);
    if (live.endsWithCall) this.#kept.set(callIdOf(id), { end: live.recorder.toRecord(end), onRecorded });
    else void this.#record(live.recorder, end).then(onRecorded);
    live.ended(end);
  }

  async #record(recorder: ProcessRecorder, end: ProcessEnd): Promise<void> {
    const recording = recorder.ended(end);
    this.#recording.add(recording);
    await recording;
    this.#recording.delete(recording);
  }

  #follow(
    callId: CallId,
    options: { windows?: Windows; before?: { bytes: number; lastId: string }; endsWithCall?: boolean },
  ): StartedProcess {
    const { windows, before, endsWithCall = false } = options;
    const recorder = this.recorder(callId, windows, (offset) => this.#acknowledge(callId, offset), before);
    let ended: (end: ProcessEnd) => void = () => {};
    const end = new Promise<ProcessEnd>((resolve) => {
      ended = resolve;
    });
    this.#live.set(processIdOf(callId), { recorder, ended, end, endsWithCall });
    return { recorder, end };
  }

  #acknowledge(callId: CallId, offset: number): void {
    this.#sandbox?.ackOutput(processIdOf(callId), offset);
  }

  #onRecordError(error: unknown): void {
    if (error instanceof FencedError) return; // the session's next pull finds out and ends it
    this.deps.log.error({ err: error, session: this.id }, "output could not be recorded");
  }
}

/** As `spawn` gives it, once the windows hold what the earlier owner saw. @throws {ToolFailure} OUTCOME_UNKNOWN, by `end` */
const follow = ({ recorder, end, fill }: AdoptedProcess, windows: Windows): StartedProcess => {
  const filled = end.then(async (ended) => {
    if (ended.status === "lost") throw outcomeUnknown();
    await recorder.flushed();
    await fill(windows);
    return ended;
  });
  filled.catch(() => {}); // who awaits it is told
  return { recorder, end: filled };
};
