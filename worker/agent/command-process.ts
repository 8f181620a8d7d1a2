import type { Socket } from "node:net";
import { constants } from "node:os";
import { fromErrno } from "./failure.ts";
import { killUntilGone, signalAll, waitUntilGone } from "./kill-tree.ts";
import type { OomKills } from "./oom-kills.ts";
import { type OutputChunk, OutputWindow, STDERR, STDOUT, type Stream, WINDOW_BYTES } from "./output-window.ts";
import { bearsMarker, descendantsOf, readProcessTable } from "./process-table.ts";
import type { Runner, RunRequest } from "./runner.ts";

const TERM_GRACE_MS = 500;
const LEFT_BEHIND_GRACE_MS = 50;
const PID_1 = 1;

export interface ProcessExit {
  exitCode: number;
  signal: string;
  timedOut: boolean;
  killed: boolean;
  durationMs: number;
  outputBytes: number;
  leftBehind: number;
  outOfMemory: boolean;
}

export interface ProcessListener {
  onOutput(chunk: OutputChunk): void;
  onExited(exit: ProcessExit): void;
  /** The process exited, and nothing that it started is left. */
  onGone(): void;
}

/** Names of the signals by their number. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/**
 * One command of the session: its runner, pipes, deadline and end. It ends when the main process ends and its output is
 * read; output that something left behind writes later is read and dropped, so that this neither blocks nor gets SIGPIPE.
 */
export class CommandProcess {
  readonly window: OutputWindow;
  exit: ProcessExit | undefined;
  #pid = 0;
  #runner: Runner;
  #stdin: Socket | undefined;
  #outputs: Socket[] = [];
  #openOutputs = 2;
  #startedAtMs = performance.now();
  #oomKillsAtStart: number;
  #deadline: NodeJS.Timeout | undefined;
  #end:
    | { code: number | null; signal: number | null; leftSomething: boolean; durationMs: number; totalBytes: number }
    | undefined;
  #leftBehindTimer: NodeJS.Timeout | undefined;
  #isFailed = false;
  #isTimedOut = false;
  #isKilled = false;
  #isHurried = false;
  #termination: Promise<void> | undefined;
  #isDropping = false;

  constructor(
    private readonly marker: string,
    runner: Runner,
    private readonly oomKills: OomKills,
    private readonly listener: ProcessListener,
  ) {
    this.#runner = runner;
    this.#oomKillsAtStart = oomKills.seen;
    this.window = new OutputWindow({
      onChunk: (chunk) => listener.onOutput(chunk),
      onFull: (isFull) => this.#pause(isFull),
    });
  }

  /** Resolves with the main process's pid. */
  start(request: RunRequest, timeoutMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const pipes = this.#runner.run(request, {
        onStarted: (pid) => {
          this.#pid = pid;
          resolve(pid);
        },
        onFailed: (errno) => {
          this.#closeStdin();
          this.#isFailed = true;
          reject(fromErrno(errno, `Cannot start ${request.argv[0]} in "${request.cwd}"`));
        },
        onEnded: (code, signal, leftSomething) => this.#onEnded(code, signal, leftSomething),
        onGone: () => {
          this.#onRunnerGone();
          reject(new Error("the runner was killed")); // changes nothing once the command has started
        },
      });
      this.#stdin = pipes.stdin?.on("error", () => this.#closeStdin()); // nobody reads it any more
      this.#outputs = [pipes.stdout, pipes.stderr];
      this.#read(pipes.stdout, STDOUT);
      this.#read(pipes.stderr, STDERR);
      if (timeoutMs > 0) {
        this.#deadline = setTimeout(() => {
          this.#isTimedOut = true;
          void this.#terminate(false);
        }, timeoutMs);
      }
    });
  }

  /** Bytes of stdin that the process has not read yet; undefined when stdin is closed. */
  get unreadStdinBytes(): number | undefined {
    return this.#stdin?.writableLength;
  }

  writeStdin(data: Uint8Array, close: boolean): void {
    if (data.length > 0) this.#stdin?.write(data);
    if (close) this.#closeStdin();
  }

  /** Sends the signal as `Kill` in agent.proto says; gives to how many processes. TERM and KILL resolve when all are gone. */
  async kill(signal: NodeJS.Signals): Promise<number> {
    if (signal !== "SIGTERM" && signal !== "SIGKILL") return this.exit ? 0 : signalAll([-this.#pid], signal);
    if (!this.#end) this.#isKilled = true;
    const count = this.#find().length;
    await this.#terminate(signal === "SIGKILL");
    return count;
  }

  #read(output: Socket, stream: Stream): void {
    const onClosed = () => {
      output
        .removeAllListeners("end")
        .removeAllListeners("error")
        .on("error", () => {});
      this.#openOutputs--;
      this.#finishIfDone();
    };
    output.on("data", (data) => {
      if (!this.#isDropping) this.window.push(stream, data);
    });
    output.once("end", onClosed).once("error", onClosed);
  }

  #pause(isFull: boolean): void {
    if (this.#isDropping) return;
    for (const output of this.#outputs) isFull ? output.pause() : output.resume();
    if (!isFull && this.#end) this.#waitForLeftBehind();
  }

  #onEnded(code: number | null, signal: number | null, leftSomething: boolean): void {
    clearTimeout(this.#deadline);
    const durationMs = performance.now() - this.#startedAtMs;
    this.#end = { code, signal, leftSomething, durationMs, totalBytes: this.window.totalBytes };
    this.#closeStdin();
    if (leftSomething) this.#waitForLeftBehind();
    this.#finishIfDone();
  }

  /** Something that goes on may hold the pipes for ever. What the main process wrote stands in them and is read at once. */
  #waitForLeftBehind(): void {
    clearTimeout(this.#leftBehindTimer);
    this.#leftBehindTimer = setTimeout(() => {
      const sinceEnd = this.window.totalBytes - this.#end!.totalBytes;
      if (this.window.isFull && sinceEnd < WINDOW_BYTES) return; // a full window is read on once it has room
      void this.#finish();
    }, LEFT_BEHIND_GRACE_MS);
  }

  #finishIfDone(): void {
    if (this.#end && this.#openOutputs === 0) void this.#finish();
  }

  async #finish(): Promise<void> {
    clearTimeout(this.#leftBehindTimer);
    if (this.#termination) await this.#termination; // the caller is told of the end when the whole tree is gone
    if (this.exit) return;
    const { code, signal, leftSomething, durationMs } = this.#end!;
    this.#drop();
    this.window.flush();
    this.exit = {
      exitCode: code ?? -1,
      signal: signal === null ? "" : (SIGNAL_NAMES.get(signal) ?? `SIG${signal}`),
      timedOut: this.#isTimedOut,
      killed: this.#isKilled,
      durationMs: Math.round(durationMs),
      outputBytes: this.window.totalBytes,
      leftBehind: leftSomething ? this.#find().length : 0,
      outOfMemory: code !== 0 && this.oomKills.refresh() > this.#oomKillsAtStart,
    };
    this.listener.onExited(this.exit);
    if (this.#runner.isGone) this.listener.onGone();
  }

  #drop(): void {
    this.#isDropping = true;
    for (const output of this.#outputs) output.resume();
  }

  #closeStdin(): void {
    this.#stdin?.end();
    this.#stdin = undefined;
  }

  #onRunnerGone(): void {
    if (this.#isFailed) return;
    if (!this.#end) {
      // User code killed the runner: its tree now belongs to PID 1.
      this.#isKilled = true;
      void this.#terminate(true);
      this.#onEnded(null, constants.signals.SIGKILL, true);
    } else if (this.exit) {
      this.listener.onGone();
    }
  }

  /** One termination at most; a second request can only take the grace away. */
  #terminate(isHurried: boolean): Promise<void> {
    this.#isHurried ||= isHurried;
    this.#termination ??= this.#runTermination();
    return this.#termination;
  }

  async #runTermination(): Promise<void> {
    const find = () => this.#find();
    if (!this.#isHurried) {
      const pids = find();
      signalAll(pids, "SIGTERM");
      signalAll(pids, "SIGCONT"); // a stopped process would not see it
      await waitUntilGone(find, TERM_GRACE_MS, () => this.#isHurried);
    }
    await killUntilGone(find);
    this.#termination = undefined; // what a left-behind process starts later can be killed again
  }

  /** Everything that belongs to this command and lives. */
  #find(): number[] {
    const table = readProcessTable();
    const roots = [this.#runner.pid];
    // With a live runner nothing can get out from under it. Without, PID 1 inherits; what else PID 1 has is the agent.
    if (this.#runner.isGone) roots.length = 0;
    const found = new Set(descendantsOf(roots, table));
    if (this.#runner.isGone && process.env.CODEGEN_SUPERVISED === "1" && process.ppid === PID_1) {
      const orphans = table.filter(
        (entry) => entry.parent === PID_1 && entry.pid !== process.pid && entry.state !== "Z",
      );
      for (const { pid } of orphans) found.add(pid);
      for (const pid of descendantsOf([...found], table)) found.add(pid);
    }
    for (const { pid, state } of table) {
      if (state !== "Z" && !found.has(pid) && bearsMarker(pid, this.marker)) found.add(pid);
    }
    return [...found];
  }
}
