import { type ChildProcess, spawn } from "node:child_process";
import { constants, openSync } from "node:fs";
import { Socket } from "node:net";

/** What a command needs to start. `argv[0]` is an absolute path. */
export interface RunRequest {
  cwd: string;
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  hasStdin: boolean;
  /** A terminal of this size for its three standard streams; what it shows comes as stdout. */
  terminal?: { rows: number; columns: number };
  /** Gives it a channel to us: its fd 3 reads, its fd 4 writes. */
  hasChannel?: boolean;
}

export interface RunnerListener {
  onStarted(pid: number): void;
  /** The command could not be started; nothing else follows but `onGone`. */
  onFailed(errno: number): void;
  /** The main process ended. `code` is null when `signal` (a number) ended it. */
  onEnded(code: number | null, signal: number | null, leftSomething: boolean): void;
  /** Nothing that the command started is left, or somebody killed the runner itself (then `onEnded` may be missing). */
  onGone(): void;
}

export interface RunnerPipes {
  stdout: Socket;
  stderr: Socket;
  stdin: Socket | undefined;
  /** `to` is what the command reads. */
  channel: { to: Socket; from: Socket } | undefined;
}

/** As in init.c. */
const FLAG_STDIN = 1;
const FLAG_TERMINAL = 2;
const FLAG_CHANNEL = 4;
const ROWS_FACTOR = 2 ** 8;
const COLUMNS_FACTOR = 2 ** 20;
const HEADER_BYTES = 16;

/**
 * The agent's side of `init run` (worker/init/init.c): one command, as a subreaper of whatever it starts, so that the
 * command's tree is always the runner's descendants.
 */
export class Runner {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #control: Socket;
  readonly #ready: Promise<boolean>;
  /** Opened while the runner waits, not when a call does. */
  #outputs: { stdout: Socket; stderr: Socket } | undefined;
  /** Numbers of its ends for us: stdin, and the channel's two. */
  #fds = { stdin: -1, to: -1, from: -1 };
  #listener: RunnerListener | undefined;
  #isGone = false;
  #text = "";

  /** Starts a runner that waits for its command. */
  constructor(initPath: string) {
    this.#child = spawn(initPath, ["run"], { stdio: ["ignore", "ignore", "ignore", "pipe"], env: {}, cwd: "/" });
    this.pid = this.#child.pid ?? 0;
    this.#control = this.#child.stdio[3] as Socket;
    this.#ready = new Promise((resolve) => {
      this.#control.on("data", (data) => {
        this.#text += data.toString("latin1");
        for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
          const line = this.#text.slice(0, end);
          this.#text = this.#text.slice(end + 1);
          if (this.#onLine(line)) resolve(true);
        }
      });
      const onGone = () => {
        if (this.#isGone) return;
        this.#isGone = true;
        resolve(false);
        this.#listener?.onGone();
      };
      this.#child.on("close", onGone); // not "exit", which may come before the last lines
      this.#child.on("error", onGone);
    });
    this.#control.on("error", () => {}); // its exit says all
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** True when the runner waits for its command; false when it has died. */
  ready(): Promise<boolean> {
    return this.#ready;
  }

  /** Only after `ready()`, and once. Throws when the runner has just been killed. */
  run(request: RunRequest, listener: RunnerListener): RunnerPipes {
    if (this.#isGone || !this.#outputs) throw new Error("the runner was killed");
    const fds = this.#fds;
    const stdin = request.hasStdin ? this.#open(fds.stdin, constants.O_WRONLY) : undefined;
    const channel = request.hasChannel
      ? { to: this.#open(fds.to, constants.O_WRONLY), from: this.#open(fds.from, constants.O_RDONLY) }
      : undefined;
    this.#listener = listener;
    this.#control.write(encodeRequest(request));
    return { ...this.#outputs, stdin, channel };
  }

  /** Ends a runner that was never used. */
  discard(): void {
    this.#control.end();
  }

  #open(fd: number, flags: typeof constants.O_RDONLY | typeof constants.O_WRONLY): Socket {
    const ownFd = openSync(`/proc/${this.pid}/fd/${fd}`, flags | constants.O_NONBLOCK);
    const readable = flags === constants.O_RDONLY;
    return new Socket({ fd: ownFd, readable, writable: !readable });
  }

  #onPipes(stdin: number, stdout: number, stderr: number, to: number, from: number): void {
    this.#fds = { stdin, to, from };
    try {
      this.#outputs = {
        stdout: this.#open(stdout, constants.O_RDONLY),
        stderr: this.#open(stderr, constants.O_RDONLY),
      };
    } catch {
      // the runner has just been killed: run() says so
    }
  }

  /** True for the line that says that the runner is ready. */
  #onLine(line: string): boolean {
    const [word, ...fields] = line.split(" ");
    const [a, b, c, d, e] = fields.map(Number) as [number, number, number, number, number];
    if (word === "pipes") this.#onPipes(a, b, c, d, e);
    else if (word === "started") this.#listener?.onStarted(a);
    else if (word === "failed") this.#listener?.onFailed(a);
    else if (word === "exit") this.#listener?.onEnded(a, null, b === 1);
    else if (word === "signal") this.#listener?.onEnded(null, a, b === 1);
    return word === "pipes";
  }
}

const flagsOf = ({ hasStdin, terminal, hasChannel }: RunRequest): number =>
  (hasStdin ? FLAG_STDIN : 0) +
  (hasChannel ? FLAG_CHANNEL : 0) +
  (terminal ? FLAG_TERMINAL + terminal.rows * ROWS_FACTOR + terminal.columns * COLUMNS_FACTOR : 0);

const encodeRequest = (run: RunRequest): Buffer => {
  const { cwd, argv, env } = run;
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const body = Buffer.from(`${[cwd, ...argv, ...environment].join("\0")}\0`);
  const request = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  const header = [body.length, flagsOf(run), argv.length, environment.length];
  header.forEach((field, i) => {
    request.writeUInt32LE(field, i * 4); // "the machine's order": Linux on x86-64 and arm64 is little endian
  });
  body.copy(request, HEADER_BYTES);
  return request;
};

/** Keeps one runner ready, so that a call need not wait for its start. */
export class RunnerSupply {
  #spare: Runner | undefined;

  constructor(private readonly initPath: string) {}

  /** The spare one when it is there and alive, else a new one. */
  async take(): Promise<Runner> {
    const runner = this.#spare ?? new Runner(this.initPath);
    this.#spare = undefined;
    if (await runner.ready()) return runner;
    const second = new Runner(this.initPath);
    if (await second.ready()) return second;
    throw new Error("no process can be started in this sandbox");
  }

  /** Makes the next spare one. Starting a process blocks the agent for about a millisecond: call it when nothing waits. */
  refill(): void {
    if (this.#spare && !this.#spare.isGone) return;
    this.#spare = new Runner(this.initPath);
  }
}
