import { closeSync, constants, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { signalAll } from "./kill-tree.ts";
import { OutputPipe } from "./output-pipe.ts";

/** What a command needs to start. */
export interface RunRequest {
  cwd: string;
  /** `argv` is /bin/bash's with a command: a shell that waits for one may go on as it. */
  isShell?: boolean;
  /** Its first is the absolute path of the file that is run. */
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
  stdout: OutputPipe;
  stderr: OutputPipe;
  stdin: Socket | undefined;
  /** `to` is what the command reads. */
  channel: { to: Socket; from: Socket } | undefined;
}

/** As in request.h. */
const FLAG_STDIN = 1;
const FLAG_TERMINAL = 2;
const FLAG_CHANNEL = 4;
const FLAG_SHELL = 8;
const ROWS_FACTOR = 2 ** 8;
const COLUMNS_FACTOR = 2 ** 20;
const HEADER_BYTES = 16;

/** Its pid, and the numbers of its file descriptors that are our ends of its pipes. */
export interface RunnerFds {
  pid: number;
  control: number;
  reply: number;
  stdin: number;
  stdout: number;
  stderr: number;
  /** Of the channel that a command may get. */
  to: number;
  from: number;
  /** Pid of the process that becomes the command, where it gets no terminal. */
  child: number;
}

/**
 * The agent's side of a runner (worker/init/serve.c): one command, as a subreaper of whatever it starts, so that the
 * command's tree is always the runner's descendants.
 */
export class Runner {
  readonly pid: number;
  /** -1 once it has its command. */
  #control: number;
  readonly #outputs: { stdout: OutputPipe; stderr: OutputPipe };
  #listener: RunnerListener | undefined;
  #isGone = false;
  #hasReplied = false;
  #text = "";

  /**
   * Of one that waits for its command. Its pipes are opened now, not when a call waits.
   * @param living the pids of all runners that live, this one's among them while it does
   * @throws when it has just been killed
   */
  constructor(
    private readonly fds: RunnerFds,
    readonly living: Set<number>,
  ) {
    this.pid = fds.pid;
    const reply = this.#open(fds.reply, constants.O_RDONLY);
    reply.on("error", () => {}); // "close" follows
    const opened: OutputPipe[] = [];
    const openOutput = (fd: number): OutputPipe => {
      const output = new OutputPipe(this.#openFd(fd, constants.O_RDONLY));
      opened.push(output);
      return output;
    };
    try {
      this.#outputs = { stdout: openOutput(fds.stdout), stderr: openOutput(fds.stderr) };
      this.#control = this.#openFd(fds.control, constants.O_WRONLY);
    } catch (error) {
      for (const output of opened) output.close();
      reply.destroy();
      throw error;
    }
    living.add(this.pid);
    reply.on("data", (data) => this.#onReply(data));
    reply.on("close", () => this.#onGone());
  }

  /** What replies before it has a command has lost the process that waits for one. */
  get isGone(): boolean {
    return this.#isGone || (this.#hasReplied && !this.#listener);
  }

  /** Its processes, until it is given a command. */
  get waitingPids(): number[] {
    return this.#listener ? [] : [this.fds.pid, this.fds.child];
  }

  /** Once. Throws when the runner has just been killed. */
  run(request: RunRequest, listener: RunnerListener): RunnerPipes {
    if (this.isGone) throw new Error("the runner was killed");
    const { fds } = this;
    const stdin = request.hasStdin ? this.#open(fds.stdin, constants.O_WRONLY) : undefined;
    const channel = request.hasChannel
      ? { to: this.#open(fds.to, constants.O_WRONLY), from: this.#open(fds.from, constants.O_RDONLY) }
      : undefined;
    signalAll(this.waitingPids, "SIGCONT"); // a command that has ended may have stopped them
    this.#listener = listener;
    sendAll(this.#control, encodeRequest(request));
    this.#control = -1;
    return { ...this.#outputs, stdin, channel };
  }

  #open(fd: number, flags: typeof constants.O_RDONLY | typeof constants.O_WRONLY): Socket {
    const readable = flags === constants.O_RDONLY;
    return new Socket({ fd: this.#openFd(fd, flags), readable, writable: !readable });
  }

  #openFd(fd: number, flags: number): number {
    return openSync(`/proc/${this.pid}/fd/${fd}`, flags | constants.O_NONBLOCK);
  }

  #onReply(data: Buffer): void {
    this.#text += data.toString("latin1");
    for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      this.#onLine(line);
    }
  }

  #onLine(line: string): void {
    this.#hasReplied = true;
    const [word, ...fields] = line.split(" ");
    const [a, b] = fields.map(Number) as [number, number];
    if (word === "started") this.#listener?.onStarted(a);
    else if (word === "failed") this.#listener?.onFailed(a);
    else if (word === "exit") this.#listener?.onEnded(a, null, b === 1);
    else if (word === "signal") this.#listener?.onEnded(null, a, b === 1);
  }

  #onGone(): void {
    this.#isGone = true;
    this.living.delete(this.pid);
    if (this.#control >= 0) closeSync(this.#control);
    this.#control = -1;
    // Its command, which has the request, may have killed it before it could say that the command runs.
    if (!this.#hasReplied) this.#listener?.onStarted(this.fds.child);
    if (!this.#listener) for (const output of Object.values(this.#outputs)) output.close();
    this.#listener?.onGone();
  }
}

/** Writes all and closes: at once what the pipe takes, which is nearly always all. A socket costs a turn of the loop. */
const sendAll = (fd: number, data: Buffer): void => {
  let written = 0;
  try {
    written = writeSync(fd, data);
  } catch {
    // full, which the socket waits for; or the runner was killed, which the end of its replies says
  }
  if (written === data.length) closeSync(fd);
  else new Socket({ fd, writable: true, readable: false }).on("error", () => {}).end(data.subarray(written));
};

const flagsOf = ({ hasStdin, terminal, hasChannel, isShell }: RunRequest): number =>
  (hasStdin ? FLAG_STDIN : 0) +
  (hasChannel ? FLAG_CHANNEL : 0) +
  (isShell ? FLAG_SHELL : 0) +
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
