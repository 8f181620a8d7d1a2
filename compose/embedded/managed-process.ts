import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** How the process ended before it said that it is ready; the end of its log tells why. */
export class StartError extends Error {
  override readonly name = "StartError";
}

const TAIL_LINES = 200;

/** A child process that says when it is ready, logs to a file, and is ended by its pid, kindly first. */
export class ManagedProcess {
  readonly #child: ChildProcess;
  readonly #log: WriteStream;
  readonly #tail: string[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(
    readonly name: string,
    command: string,
    args: string[],
    options: { env?: NodeJS.ProcessEnv; logFile: string; stdin?: string },
  ) {
    const env = options.env ?? process.env;
    this.#child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#log = createWriteStream(options.logFile, { flags: "a" });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.pipe(this.#log, { end: false });
      if (stream) createInterface(stream).on("line", (line) => this.#onLine(line));
    }
    this.exited = new Promise((resolve) => {
      this.#child.once("error", () => resolve({ code: 127, signal: null }));
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.#child.stdin?.on("error", () => {}); // it ended before it read; `exited` says so
    this.#child.stdin?.end(options.stdin ?? "");
  }

  /** The last lines of what it wrote. */
  get log(): string {
    return this.#tail.join("\n");
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  readonly #waiting: { pattern: RegExp; resolve: (match: RegExpExecArray) => void }[] = [];

  #onLine(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    for (const waiting of [...this.#waiting]) {
      const match = waiting.pattern.exec(line);
      if (match) waiting.resolve(match);
    }
  }

  /**
   * Resolves with the first line from now on that matches.
   * @throws {StartError} when the process ends or `timeoutMs` passes before
   */
  async line(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const abort = new AbortController();
    const found = new Promise<RegExpExecArray>((resolve) => this.#waiting.push({ pattern, resolve }));
    const failed = async (why: string): Promise<never> => {
      throw new StartError(`${this.name} ${why}. The end of its log:\n${this.#tail.slice(-20).join("\n")}`);
    };
    try {
      return await Promise.race([
        found,
        this.exited.then(({ code, signal }) => failed(`ended (${signal ?? `exit code ${code}`}) before it was ready`)),
        sleep(timeoutMs, undefined, { signal: abort.signal }).then(() =>
          failed(`was not ready within ${timeoutMs} ms`),
        ),
      ]);
    } finally {
      abort.abort();
      this.#waiting.splice(0, this.#waiting.length, ...this.#waiting.filter((waiting) => waiting.pattern !== pattern));
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  /** SIGTERM, then SIGKILL after `graceMs`. Idempotent. @returns the exit code, null after a signal */
  async stop(graceMs: number): Promise<number | null> {
    this.signal("SIGTERM");
    const kill = setTimeout(() => this.signal("SIGKILL"), graceMs);
    const { code } = await this.exited;
    clearTimeout(kill);
    this.#log.end();
    if (!this.#log.closed) await once(this.#log, "close").catch(() => {});
    return code;
  }
}
