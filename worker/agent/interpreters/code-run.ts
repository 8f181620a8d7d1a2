import { uptime } from "node:os";
import { Deadline } from "../deadline.ts";
import type { Fence } from "../fence.ts";
import type { OomKills } from "../oom-kills.ts";
import type { OutputLog } from "../output-log.ts";
import { OutputWindow } from "../output-window.ts";
import type { ProcessExit, ProcessListener, SessionProcess } from "../session-process.ts";

/** Of all pictures of one run together; more are counted and dropped. */
const IMAGES_MAX_BYTES = 4 * 1024 * 1024;
const IMAGES_MAX = 16;

/** How long code may take to heed an interrupt, before its interpreter is ended with all its state. */
export const INTERRUPT_GRACE_MS = 2_000;
const GRACE_MS: Partial<Record<NodeJS.Signals, number>> = { SIGINT: INTERRUPT_GRACE_MS, SIGTERM: 500, SIGKILL: 0 };

/** What a run can have done to its interpreter. */
export interface RunControl {
  /** Ends the code: by an interrupt that keeps the interpreter's state if it is heeded in time, else with the interpreter. */
  stop(graceMs: number): Promise<void>;
  /** Gives to how many processes. */
  signal(signal: NodeJS.Signals): number;
  onFull(isFull: boolean): void;
}

/** One piece of code in an interpreter: followed, acknowledged and killed as a command is. */
export class CodeRun implements SessionProcess {
  readonly window: OutputWindow;
  /** Nobody types into it. */
  readonly unreadStdinBytes = undefined;
  exit: ProcessExit | undefined;
  isInterrupted = false;
  #isTimedOut = false;
  #result = "";
  #images: Buffer[] = [];
  #imageBytes = 0;
  #droppedImages = 0;
  #deadline: Deadline | undefined;
  readonly #startedAtMs = performance.now();
  /** As in `ProcessEntry`; what it starts is not older. */
  readonly startedAt = Math.floor(uptime() * 100);
  readonly #oomKillsAtStart: number;

  constructor(
    private readonly control: RunControl,
    private readonly oomKills: OomKills,
    private readonly log: OutputLog,
    private readonly fence: Fence,
    private readonly listener: ProcessListener,
  ) {
    this.#oomKillsAtStart = oomKills.seen;
    const onFull = (isFull: boolean): void => control.onFull(isFull);
    this.window = new OutputWindow({ onChunk: (chunk) => listener.onOutput(chunk), onFull }, log);
  }

  /** The code was handed over; 0 is no deadline. */
  begin(timeoutMs: number): void {
    if (timeoutMs === 0) return;
    this.#deadline = new Deadline(this.fence, timeoutMs, () => {
      this.#isTimedOut = true;
      void this.control.stop(INTERRUPT_GRACE_MS);
    });
  }

  writeStdin(): void {}

  async kill(signal: NodeJS.Signals): Promise<number> {
    if (this.exit) return 0;
    const graceMs = GRACE_MS[signal];
    if (graceMs === undefined) return this.control.signal(signal);
    await this.control.stop(graceMs);
    return 1;
  }

  addResult(text: string): void {
    this.#result = text;
  }

  addImage(png: Buffer): void {
    if (this.#images.length >= IMAGES_MAX || this.#imageBytes + png.length > IMAGES_MAX_BYTES) {
      this.#droppedImages++;
      return;
    }
    this.#images.push(png);
    this.#imageBytes += png.length;
  }

  /** @param end `signal` ended the interpreter itself; without a state nothing of the context is left */
  finish(end: { status: number | null; signal: string; isStateLost: boolean }): void {
    if (this.exit) return;
    this.#deadline?.clear();
    this.window.flush();
    this.log.close();
    const isStopped = this.isInterrupted && end.status !== 0;
    this.exit = {
      exitCode: isStopped || end.status === null ? -1 : end.status,
      signal: isStopped ? end.signal || "SIGINT" : end.signal,
      timedOut: isStopped && this.#isTimedOut,
      killed: isStopped && !this.#isTimedOut,
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      outputBytes: this.window.totalBytes,
      leftBehind: 0,
      outOfMemory: end.status !== 0 && this.oomKills.refresh() > this.#oomKillsAtStart,
      logBytes: this.log.bytes,
      result: this.#result,
      images: this.#images,
      droppedImages: this.#droppedImages,
      isStateLost: end.isStateLost,
    };
    this.listener.onExited(this.exit);
    this.listener.onGone();
  }
}
