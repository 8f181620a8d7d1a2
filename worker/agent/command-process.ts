import type { Socket } from "node:net";
import { constants } from "node:os";
import { Deadline } from "./deadline.ts";
import { fromErrno } from "./failure.ts";
import type { Fence } from "./fence.ts";
import { signalAll } from "./kill-tree.ts";
import type { OomKills } from "./oom-kills.ts";
import type { OutputLog } from "./output-log.ts";
import type { OutputPipe } from "./output-pipe.ts";
import { OutputWindow, STDERR, STDOUT, type Stream, WINDOW_BYTES } from "./output-window.ts";
import { ProcessTree } from "./process-tree.ts";
import type { Runner, RunRequest } from "./runner.ts";
import type { ProcessExit, ProcessListener, SessionProcess } from "./session-process.ts";

const LEFT_BEHIND_GRACE_MS = 50;
/** What a terminal takes for the end of input, at the start of a line. */
const END_OF_INPUT = "\x04";

/** Names of the signals by their number. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/**
 * One command of the session: its runner, pipes, deadline and end. It ends when the main process ends and its output is
 * read; output that something left behind writes later is read and dropped, so that this neither blocks nor gets SIGPIPE.
 */
export class CommandProcess implements SessionProcess {
  readonly window: OutputWindow;
  exit: ProcessExit | undefined;
  readonly #tree: ProcessTree;
  #pid = 0;
  #stdin: Socket | undefined;
  #hasTerminal = false;
  /** As pipes until the command is known not to be a quick one. */
  #pipes: [Stream, OutputPipe][] = [];
  #outputs: Socket[] = [];
  #openOutputs = 2;
  #startedAtMs = performance.now();
  #oomKillsAtStart: number;
  #deadline: Deadline | undefined;
  #end:
    | { code: number | null; signal: number | null; leftSomething: boolean; durationMs: number; totalBytes: number }
    | undefined;
  #leftBehindTimer: NodeJS.Timeout | undefined;
  #isFailed = false;
  #isTimedOut = false;
  #isKilled = false;
  #isDropping = false;

  constructor(
    marker: string,
    private readonly runner: Runner,
    private readonly oomKills: OomKills,
    private readonly log: OutputLog,
    private readonly fence: Fence,
    private readonly listener: ProcessListener,
  ) {
    this.#tree = new ProcessTree(marker, runner);
    this.#oomKillsAtStart = oomKills.seen;
    const onFull = (isFull: boolean): void => this.#pause(isFull);
    this.window = new OutputWindow({ onChunk: (chunk) => listener.onOutput(chunk), onFull }, log);
  }

  /** Resolves with the main process's pid. */
  start(request: RunRequest, timeoutMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const pipes = this.runner.run(request, {
        onStarted: (pid) => {
          this.#pid = pid;
          resolve(pid);
          setImmediate(() => this.#takeOutputs()); // after the answer to Spawn
        },
        onFailed: (errno) => {
          this.#closeStdin();
          this.#isFailed = true;
          for (const [, pipe] of this.#pipes.splice(0)) pipe.close();
          reject(fromErrno(errno, `Cannot start ${request.argv[0]} in "${request.cwd}"`));
        },
        onEnded: (code, signal, leftSomething) => this.#onEnded(code, signal, leftSomething),
        onGone: () => {
          this.#onRunnerGone();
          reject(new Error("the runner was killed")); // changes nothing once the command has started
        },
      });
      this.#hasTerminal = request.terminal !== undefined;
      this.#stdin = pipes.stdin?.on("error", () => this.#closeStdin()); // nobody reads it any more
      this.#pipes = [
        [STDOUT, pipes.stdout],
        [STDERR, pipes.stderr],
      ];
      if (timeoutMs > 0) {
        this.#deadline = new Deadline(this.fence, timeoutMs, () => {
          this.#isTimedOut = true;
          void this.#tree.terminate(false);
        });
      }
    });
  }

  get unreadStdinBytes(): number | undefined {
    return this.#stdin?.writableLength;
  }

  writeStdin(data: Uint8Array, close: boolean): void {
    if (data.length > 0) this.#stdin?.write(data);
    if (close && this.#hasTerminal) this.#stdin?.write(END_OF_INPUT);
    else if (close) this.#closeStdin();
  }

  async kill(signal: NodeJS.Signals): Promise<number> {
    if (signal !== "SIGTERM" && signal !== "SIGKILL") return this.exit ? 0 : signalAll([-this.#pid], signal);
    if (!this.#end) this.#isKilled = true;
    const count = this.#tree.find().length;
    await this.#tree.terminate(signal === "SIGKILL");
    return count;
  }

  /** The end of a quick command is told with its start: then what it said stands in its pipes, and no stream is needed. */
  #takeOutputs(): void {
    for (const [stream, pipe] of this.#pipes.splice(0)) {
      if (this.#end && pipe.readNow((data) => this.window.push(stream, data))) this.#openOutputs--;
      else this.#read(pipe.open(), stream);
    }
    this.#finishIfDone();
  }

  #read(output: Socket, stream: Stream): void {
    this.#outputs.push(output);
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
    this.#deadline?.clear();
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
    if (this.#tree.termination) await this.#tree.termination; // the caller is told of the end when the whole tree is gone
    if (this.exit) return;
    const { code, signal, leftSomething, durationMs } = this.#end!;
    this.#drop();
    this.window.flush();
    this.log.close();
    this.exit = {
      exitCode: code ?? -1,
      signal: signal === null ? "" : (SIGNAL_NAMES.get(signal) ?? `SIG${signal}`),
      timedOut: this.#isTimedOut,
      killed: this.#isKilled,
      durationMs: Math.round(durationMs),
      outputBytes: this.window.totalBytes,
      leftBehind: leftSomething ? this.#tree.find().length : 0,
      outOfMemory: code !== 0 && this.oomKills.refresh() > this.#oomKillsAtStart,
      logBytes: this.log.bytes,
    };
    this.listener.onExited(this.exit);
    if (this.runner.isGone) this.listener.onGone();
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
      void this.#tree.terminate(true);
      this.#onEnded(null, constants.signals.SIGKILL, true);
    } else if (this.exit) {
      this.listener.onGone();
    }
  }
}
