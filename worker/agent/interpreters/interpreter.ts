import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fromErrno, fromSystemError } from "../failure.ts";
import { killUntilGone, signalAll } from "../kill-tree.ts";
import { STDERR, STDOUT, type Stream } from "../output-window.ts";
import { ProcessTree } from "../process-tree.ts";
import type { Runner } from "../runner.ts";
import { ChannelReader } from "./channel.ts";
import type { CodeRun } from "./code-run.ts";
import type { findLanguage } from "./languages.ts";

/** Output that comes while no code runs is kept for the next run, at most so much. */
const IDLE_MAX_BYTES = 64 * 1024;

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** One interpreter of the session: a process that keeps its state while one piece of code after another runs in it. */
export class Interpreter {
  readonly #tree: ProcessTree;
  readonly #outputs: Socket[];
  readonly #to: Socket;
  #pid = 0;
  #runs = 0;
  #current: CodeRun | undefined;
  #onStopped = (): void => {};
  #onRoom = (): void => {};
  #idle: { stream: Stream; data: Buffer }[] = [];
  #idleBytes = 0;
  #folder: string | undefined;
  #file: string | undefined;
  #isOver = false;

  constructor(
    private readonly language: ReturnType<typeof findLanguage>,
    private readonly context: string,
    private readonly workdir: string,
    runner: Runner,
    command: { argv: string[]; env: Record<string, string>; marker: string },
    private readonly onOver: () => void,
  ) {
    this.#tree = new ProcessTree(command.marker, runner);
    const request = { cwd: workdir, argv: command.argv, env: command.env, hasStdin: false, hasChannel: true };
    const pipes = runner.run(request, {
      onStarted: (pid) => {
        this.#pid = pid;
      },
      onFailed: (errno) => {
        this.#push(STDERR, Buffer.from(`${fromErrno(errno, `Cannot start ${command.argv[0]}`).message}\n`));
        void this.#onEnded(127, null);
      },
      onEnded: (code, signal) => void this.#onEnded(code, signal),
      onGone: () => void this.#onEnded(null, constants.signals.SIGKILL),
    });
    const stdout = pipes.stdout.open();
    const stderr = pipes.stderr.open();
    this.#outputs = [stdout, stderr];
    stdout.on("data", (data) => this.#push(STDOUT, data)).on("error", () => {});
    stderr.on("data", (data) => this.#push(STDERR, data)).on("error", () => {});
    this.#to = pipes.channel!.to.on("error", () => {}); // its end says all
    const reader = new ChannelReader({
      onResult: (text) => this.#current?.addResult(text),
      onImage: (png) => this.#current?.addImage(png),
      onDone: (status) => void this.#onDone(status),
      onBroken: () => void this.end(),
    });
    pipes.channel!.from.on("data", (data) => reader.push(data)).on("error", () => {});
  }

  get isBusy(): boolean {
    return this.#current !== undefined;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Only when it is not busy. @throws {AgentFailure} when the code cannot be handed over */
  run(run: CodeRun, code: string): void {
    const name = `${this.context}-${++this.#runs}.${this.language.extension}`;
    if (this.language.readsFile) {
      this.#file = this.#write(name, code);
      this.#to.write(`${this.#file}\n`);
    } else {
      const bytes = Buffer.from(code);
      this.#to.write(`${join(this.workdir, name)} ${bytes.length}\n`);
      this.#to.write(bytes);
    }
    this.#current = run;
    for (const { stream, data } of this.#idle) run.window.push(stream, data);
    this.#idle = [];
    this.#idleBytes = 0;
  }

  /** Stops what runs and keeps the state, where the code heeds an interrupt; then what it had started is killed. */
  async stop(graceMs: number): Promise<void> {
    const run = this.#current;
    if (!run) return;
    run.isInterrupted = true;
    if (graceMs === 0 || !(await this.#interrupt(run, graceMs))) await this.end();
  }

  signal(signal: NodeJS.Signals): number {
    return signalAll([-this.#pid], signal);
  }

  pause(isPaused: boolean): void {
    for (const output of this.#outputs) isPaused ? output.pause() : output.resume();
    if (!isPaused) this.#onRoom();
  }

  /** Ends it with everything that it started; idempotent. What runs ends as killed. */
  async end(): Promise<void> {
    if (this.#current) this.#current.isInterrupted = true;
    await this.#tree.terminate(true);
    await this.#onEnded(null, constants.signals.SIGKILL);
  }

  async #interrupt(run: CodeRun, graceMs: number): Promise<boolean> {
    const isStopped = new Promise<true>((resolve) => {
      this.#onStopped = () => resolve(true);
    });
    if (this.#pid > 0) this.signal("SIGINT");
    if (this.language.hearsInterrupt) this.#to.write("interrupt\n");
    if (!(await Promise.race([isStopped, delay(graceMs, false)]))) return false;
    const strays = (): number[] => this.#tree.findSince(run.startedAt).filter((pid) => pid !== this.#pid);
    if (!this.#isOver) await killUntilGone(strays);
    return true;
  }

  async #onDone(status: number): Promise<void> {
    const run = this.#current;
    if (!run) return;
    this.#onStopped();
    await this.#drain(run);
    if (this.#current === run) this.#finish(run, { status, signal: "", isStateLost: false });
  }

  async #onEnded(code: number | null, signal: number | null): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onStopped();
    const run = this.#current;
    await this.#tree.terminate(true); // nobody could end what it left
    if (run) {
      await this.#drain(run);
      const name = signal === null ? "" : (SIGNAL_NAMES.get(signal) ?? `SIG${signal}`);
      this.#finish(run, { status: code, signal: name, isStateLost: true });
    }
    this.#to.destroy();
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
    this.onOver();
  }

  #finish(run: CodeRun, end: Parameters<CodeRun["finish"]>[0]): void {
    this.#current = undefined;
    if (this.#file) rmSync(this.#file, { force: true });
    this.#file = undefined;
    run.finish(end);
  }

  /**
   * What the code wrote before it was done stands in the pipes: after one whole turn of the event loop that looked at
   * them it has been read, unless a full window keeps us from reading.
   */
  async #drain(run: CodeRun): Promise<void> {
    do {
      while (run.window.isFull) {
        await new Promise<void>((resolve) => {
          this.#onRoom = resolve;
        });
      }
      await turn();
      await turn();
    } while (run.window.isFull);
  }

  #push(stream: Stream, data: Buffer): void {
    if (this.#current) {
      this.#current.window.push(stream, data);
      return;
    }
    this.#idle.push({ stream, data });
    this.#idleBytes += data.length;
    while (this.#idleBytes > IDLE_MAX_BYTES) this.#idleBytes -= this.#idle.shift()?.data.length ?? 0;
  }

  #write(name: string, code: string): string {
    try {
      this.#folder ??= mkdtempSync(join(tmpdir(), "run-code-"));
      const file = join(this.#folder, name);
      writeFileSync(file, code, { flag: "wx" });
      return file;
    } catch (error) {
      throw fromSystemError(error, "Cannot hand the code over");
    }
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
