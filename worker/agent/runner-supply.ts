import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { AgentFailure } from "./failure.ts";
import { signalAll } from "./kill-tree.ts";
import { Runner } from "./runner.ts";

const SERVER_FD = 3;
const ASK = "+";
const TRIES = 3;

/**
 * Keeps one runner ready, so that a call need not wait for its start. Runners are forked by `init serve`: a fork of the
 * agent itself would block it for more than a millisecond after every call.
 */
export class RunnerSupply {
  readonly #living = new Set<number>();
  #server: { child: ChildProcess; socket: Socket } | undefined;
  /** Who asked the server for a runner, in order. */
  #asking: ((runner: Runner | undefined) => void)[] = [];
  #spare: Promise<Runner | undefined> | undefined;
  /** The one that was made last. */
  #waiting: Runner | undefined;

  constructor(private readonly initPath: string) {}

  /** Processes that wait for a command, and have done nothing yet. */
  get waitingPids(): number[] {
    const server = this.#server?.child.pid;
    return [...(server === undefined ? [] : [server]), ...(this.#waiting?.waitingPids ?? [])];
  }

  /** The spare one when it lives, else a new one. @throws {AgentFailure} QUOTA_EXCEEDED */
  async take(): Promise<Runner> {
    for (let tried = 0; tried < TRIES; tried++) {
      const coming = this.#spare ?? this.#ask();
      this.#spare = undefined;
      const runner = await coming;
      if (runner && !runner.isGone) return runner;
    }
    throw new AgentFailure(
      "QUOTA_EXCEEDED",
      "Cannot start a process: the session is at its limit of processes or memory",
    );
  }

  /** Makes the next spare one ready, if there is none. */
  refill(): void {
    this.#spare ??= this.#ask();
  }

  #ask(): Promise<Runner | undefined> {
    this.#server ??= this.#startServer();
    const { child, socket } = this.#server;
    if (child.pid !== undefined) signalAll([child.pid], "SIGCONT"); // a command may have stopped it
    return new Promise((resolve) => {
      this.#asking.push((runner) => {
        this.#waiting = runner;
        resolve(runner);
      });
      socket.write(ASK);
    });
  }

  #startServer(): { child: ChildProcess; socket: Socket } {
    const stdio = ["ignore", "ignore", "ignore", "pipe"] as const;
    const child = spawn(this.initPath, ["serve"], { stdio: [...stdio], env: {}, cwd: "/" });
    const socket = child.stdio[SERVER_FD] as Socket;
    let text = "";
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.#asking.shift()?.(this.#runnerOf(line));
    });
    socket.on("error", () => {}); // "close" follows
    child.on("error", () => {}); // it could not be started: its socket closes too
    socket.on("close", () => this.#onServerGone());
    return { child, socket };
  }

  /** Undefined when it could not be forked, or was killed at once. */
  #runnerOf(line: string): Runner | undefined {
    const [word, ...fields] = line.split(" ");
    if (word !== "runner") return undefined;
    const [pid, control, reply, stdin, stdout, stderr, to, from, child] = fields.map(Number) as [
      ...[number, number, number],
      ...[number, number, number],
      ...[number, number, number],
    ];
    try {
      return new Runner({ pid, control, reply, stdin, stdout, stderr, to, from, child }, this.#living);
    } catch {
      return undefined;
    }
  }

  /** Somebody killed it; runners that it made live on. The next one that is asked for starts another. */
  #onServerGone(): void {
    this.#server = undefined;
    for (const resolve of this.#asking.splice(0)) resolve(undefined);
  }
}
