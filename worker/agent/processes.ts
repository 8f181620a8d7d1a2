import { statSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import type { KnownProcess, RunCode, Spawn, StopCode, WriteStdin } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { CommandProcess } from "./command-process.ts";
import { AgentFailure, fromSystemError } from "./failure.ts";
import type { Fence } from "./fence.ts";
import { Interpreters } from "./interpreters/interpreters.ts";
import { OomKills } from "./oom-kills.ts";
import { OutputLog } from "./output-log.ts";
import type { OutputChunk } from "./output-window.ts";
import type { RunnerSupply } from "./runner-supply.ts";
import type { ProcessExit, ProcessListener, SessionProcess } from "./session-process.ts";

const BASH = "/bin/bash";
/** The kernel refuses a longer argument (MAX_ARG_STRLEN), and a longer `NAME=value`. */
const ARGUMENT_MAX_BYTES = 128 * 1024 - 1;
const STDIN_UNREAD_MAX_BYTES = 1024 * 1024;
const TIMEOUT_MAX_MS = 2 ** 31 - 1;
/** Processes whose exit the worker has not acknowledged. */
const KNOWN_MAX = 512;
const TERMINAL_SIZE_MAX = 4095;
const SEEN_MAX = 100_000;

export interface ProcessesListener {
  onOutput(processId: string, chunk: OutputChunk): void;
  onExited(processId: string, exit: ProcessExit): void;
  /** The process has ended with which its call ends. */
  onCallEnded(): void;
}

interface Known {
  process: SessionProcess;
  started: Promise<number>;
  isAcknowledged: boolean;
  isGone: boolean;
}

/** Every process of the session, from Spawn until its exit is acknowledged and its tree is gone. */
export class Processes {
  readonly #known = new Map<string, Known>();
  readonly #seen = new Set<string>();
  readonly #oomKills = new OomKills();
  readonly #interpreters: Interpreters;

  constructor(
    private readonly deps: {
      runners: RunnerSupply;
      workdir: string;
      /** The environment of the next process, without what Spawn adds. */
      environment: () => Record<string, string>;
      fence: Fence;
      listener: ProcessesListener;
    },
  ) {
    this.#interpreters = new Interpreters({ ...deps, oomKills: this.#oomKills });
  }

  /** Resolves with the pid once the command runs. */
  async spawn(spec: Spawn): Promise<number> {
    const { processId } = spec;
    this.#validate(spec);
    const cwd = resolve(this.deps.workdir, spec.cwd);
    this.#seen.add(processId);
    try {
      checkFolder(cwd);
      const { runners, environment, fence } = this.deps;
      const runner = await runners.take();
      const marker = `CODEGEN_CALL=${processId}`;
      const log = new OutputLog(this.deps.workdir, processId);
      const process = new CommandProcess(
        marker,
        runner,
        this.#oomKills,
        log,
        fence,
        this.#listenTo(processId, spec.endsCall),
      );
      const env = { ...environment(), ...spec.env, CODEGEN_CALL: processId };
      const argv = [BASH, "-c", spec.command];
      const { ptyRows: rows, ptyColumns: columns } = spec;
      const terminal = rows > 0 && columns > 0 ? { rows, columns } : undefined;
      const hasStdin = spec.keepStdin || spec.stdin.length > 0 || terminal !== undefined;
      const request = { cwd, isShell: true, argv, env, hasStdin, ...(terminal ? { terminal } : {}) };
      const started = process.start(request, Math.min(Number(spec.timeoutMs), TIMEOUT_MAX_MS));
      this.#known.set(processId, { process, started, isAcknowledged: false, isGone: false });
      if (hasStdin) process.writeStdin(spec.stdin, !spec.keepStdin && !terminal);
      return await started;
    } catch (error) {
      this.#known.delete(processId);
      this.#seen.delete(processId); // it never ran: the same id may try again
      throw error;
    }
  }

  /** Resolves once the code was handed to its interpreter. */
  async runCode(spec: RunCode): Promise<void> {
    const { processId } = spec;
    this.#admit(processId);
    this.#seen.add(processId);
    try {
      const log = new OutputLog(this.deps.workdir, processId);
      const process = await this.#interpreters.run(spec, log, this.#listenTo(processId));
      const started = Promise.resolve(0);
      this.#known.set(processId, { process, started, isAcknowledged: false, isGone: false });
    } catch (error) {
      this.#seen.delete(processId); // it never ran: the same id may try again
      throw error;
    }
  }

  async stopCode(request: StopCode): Promise<{ wasRunning: boolean; isStateLost: boolean }> {
    return await this.#interpreters.stop(request);
  }

  async kill(processId: string, signal: string): Promise<number> {
    if (!Object.hasOwn(constants.signals, signal))
      throw new AgentFailure("INVALID_ARGUMENT", `Cannot send "${signal}": there is no such signal`);
    const known = this.#get(processId);
    await known.started;
    return known.process.kill(signal as NodeJS.Signals);
  }

  async writeStdin({ processId, data, close }: WriteStdin): Promise<void> {
    const known = this.#get(processId);
    await known.started;
    const unread = known.process.unreadStdinBytes;
    if (unread === undefined)
      throw new AgentFailure("INVALID_ARGUMENT", `Cannot write to process "${processId}": its stdin is closed`);
    if (unread > STDIN_UNREAD_MAX_BYTES)
      throw new AgentFailure("QUEUE_FULL", `Cannot write to process "${processId}": it leaves its input unread`);
    known.process.writeStdin(data, close);
  }

  acknowledgeOutput(processId: string, offset: number): void {
    this.#known.get(processId)?.process.window.acknowledge(offset);
  }

  acknowledgeExit(processId: string): void {
    if (this.#known.get(processId)?.process.exit) this.#update(processId, { isAcknowledged: true });
  }

  /** Nothing of any command or code is left, and all it said has been taken in. */
  get areGone(): boolean {
    return [...this.#known.values()].every(({ process, isGone }) => isGone && process.exit !== undefined);
  }

  /** What a worker that has just connected must know. */
  known(): Pick<KnownProcess, "processId" | "outputOffset">[] {
    return [...this.#unacknowledged()].map(([processId, { process }]) => ({
      processId,
      outputOffset: BigInt(process.window.acknowledgedBytes),
    }));
  }

  /** Output and exits that were not acknowledged, again. */
  resend(): void {
    for (const [processId, { process }] of this.#unacknowledged()) {
      process.window.resend();
      if (process.exit) this.deps.listener.onExited(processId, process.exit);
    }
  }

  #listenTo(processId: string, endsCall = false): ProcessListener {
    const { listener, runners } = this.deps;
    return {
      onOutput: (chunk) => listener.onOutput(processId, chunk),
      onExited: (exit) => {
        listener.onExited(processId, exit);
        setImmediate(() => {
          runners.refill();
          this.#oomKills.refresh();
          if (endsCall) listener.onCallEnded();
        });
      },
      onGone: () => this.#update(processId, { isGone: true }),
    };
  }

  #unacknowledged(): [string, Known][] {
    return [...this.#known].filter(([, known]) => !known.isAcknowledged);
  }

  #get(processId: string): Known {
    const known = this.#known.get(processId);
    if (!known) throw new AgentFailure("NOT_FOUND", `There is no process "${processId}" in this sandbox any more`);
    return known;
  }

  /** A process is forgotten when its exit is acknowledged and nothing that could still be killed is left of it. */
  #update(processId: string, change: Partial<Known>): void {
    const known = this.#known.get(processId);
    if (!known) return;
    Object.assign(known, change);
    if (known.isAcknowledged && known.isGone) this.#known.delete(processId);
  }

  #admit(processId: string): void {
    if (!/^[\w.-]{1,128}$/.test(processId))
      throw new AgentFailure("INVALID_ARGUMENT", "Cannot start a process: bad process_id");
    if (this.#seen.has(processId))
      throw new AgentFailure("ALREADY_STARTED", `Process "${processId}" was started before; it is not started twice`);
    if (this.#known.size >= KNOWN_MAX) this.#forgetOldestExit();
    if (this.#seen.size >= SEEN_MAX) this.#seen.delete(this.#seen.values().next().value!);
  }

  #validate({ processId, command, cwd, env, ptyRows, ptyColumns }: Spawn): void {
    this.#admit(processId);
    if (command.includes("\0") || cwd.includes("\0"))
      throw new AgentFailure("INVALID_ARGUMENT", "Cannot start a command: it or its folder contains a NUL character");
    if (Buffer.byteLength(command) > ARGUMENT_MAX_BYTES)
      throw new AgentFailure(
        "INVALID_ARGUMENT",
        `Cannot start a command of ${Buffer.byteLength(command)} bytes: write it into a file of its own (limit ${ARGUMENT_MAX_BYTES})`,
      );
    for (const [name, value] of Object.entries(env)) checkVariable(name, value);
    if (Math.max(ptyRows, ptyColumns) > TERMINAL_SIZE_MAX)
      throw new AgentFailure(
        "INVALID_ARGUMENT",
        `Cannot make a terminal with more than ${TERMINAL_SIZE_MAX} rows or columns`,
      );
  }

  #forgetOldestExit(): void {
    const oldest = [...this.#known].find(([, { process, isGone }]) => process.exit && isGone);
    if (!oldest)
      throw new AgentFailure(
        "QUOTA_EXCEEDED",
        `Cannot start a process: ${KNOWN_MAX} of this session's processes still run`,
      );
    this.#known.delete(oldest[0]);
  }
}

/** @throws {AgentFailure} INVALID_ARGUMENT */
export const checkVariable = (name: string, value: string): void => {
  if (name === "" || /[=\0]/.test(name) || value.includes("\0"))
    throw new AgentFailure(
      "INVALID_ARGUMENT",
      `Cannot set the environment variable ${JSON.stringify(name)}: it is not valid`,
    );
  if (Buffer.byteLength(name) + 1 + Buffer.byteLength(value) > ARGUMENT_MAX_BYTES)
    throw new AgentFailure("INVALID_ARGUMENT", `Cannot set the environment variable "${name}": it is too long`);
};

const checkFolder = (path: string): void => {
  const action = `Cannot start a command in "${path}"`;
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw fromSystemError(error, action);
  }
  if (!isFolder) throw new AgentFailure("NOT_A_DIRECTORY", `${action}: it is not a folder`);
};
