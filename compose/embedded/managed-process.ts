import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** How the process ended before it said that it is ready; the end of its log tells why. */
export class StartError extends Error {
  override readonly name = "StartError";
}

const POLL_MS = 20;
const TAIL_BYTES = 64 * 1024;
const TAIL_LINES_TOLD = 20;

/**
 * A child process that logs straight into a file (so that its lines cost its parent nothing), says there when it is
 * ready, and is ended by its pid, kindly first.
 */
export class ManagedProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(
    readonly name: string,
    command: string,
    args: string[],
    options: { env?: NodeJS.ProcessEnv; logFile: string; stdin?: string },
  ) {
    const env = options.env ?? process.env;
    this.#logFile = options.logFile;
    const log = openSync(options.logFile, "a");
    try {
      this.#child = spawn(command, args, { env, stdio: ["pipe", log, log], detached: true });
    } finally {
      closeSync(log);
    }
    this.exited = new Promise((resolve) => {
      this.#child.once("error", () => resolve({ code: 127, signal: null }));
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.#child.stdin?.on("error", () => {}); // it ended before it read; `exited` says so
    this.#child.stdin?.end(options.stdin ?? "");
  }

  /** The end of what it wrote. */
  get log(): string {
    return this.#read(Math.max(0, statSync(this.#logFile).size - TAIL_BYTES)).text;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  /**
   * Resolves with the first line from now on that matches.
   * @throws {StartError} when the process ends or `timeoutMs` passes before
   */
  async line(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const until = performance.now() + timeoutMs;
    let from = statSync(this.#logFile).size;
    let end: { code: number | null; signal: NodeJS.Signals | null } | undefined;
    void this.exited.then((exited) => {
      end = exited;
    });
    for (;;) {
      const isLastLook = end !== undefined;
      const { text, next } = this.#read(from);
      from = next;
      for (const line of text.split("\n")) {
        const match = pattern.exec(line);
        if (match) return match;
      }
      if (isLastLook) throw this.#startError(`ended (${end?.signal ?? `exit code ${end?.code}`}) before it was ready`);
      if (performance.now() > until) throw this.#startError(`was not ready within ${timeoutMs} ms`);
      await sleep(POLL_MS);
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** Asks with `signal`, then SIGKILL after `graceMs`. Idempotent. @returns the exit code, null after a signal */
  async stop(graceMs: number, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.signal(signal);
    const kill = setTimeout(() => this.signal("SIGKILL"), graceMs);
    const { code } = await this.exited;
    clearTimeout(kill);
    return code;
  }

  /** Whole lines from a position in the log on, and where the rest begins. */
  #read(from: number): { text: string; next: number } {
    const log = openSync(this.#logFile, "r");
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(log).size - from));
      const length = readSync(log, bytes, 0, bytes.length, from);
      const end = bytes.subarray(0, length).lastIndexOf("\n") + 1;
      return { text: bytes.toString("utf8", 0, end), next: from + end };
    } finally {
      closeSync(log);
    }
  }

  #startError(why: string): StartError {
    const tail = this.log.trimEnd().split("\n").slice(-TAIL_LINES_TOLD).join("\n");
    return new StartError(`${this.name} ${why}. The end of its log:\n${tail}`);
  }
}
