import type { OutputChunk, OutputWindow } from "./output-window.ts";

export interface ProcessExit {
  exitCode: number;
  signal: string;
  timedOut: boolean;
  killed: boolean;
  durationMs: number;
  outputBytes: number;
  leftBehind: number;
  outOfMemory: boolean;
  /** Bytes of the output that stand in its log; 0 when there is none. */
  logBytes: number;
  /** Of code in an interpreter; absent for commands. */
  result?: string;
  images?: Buffer[];
  droppedImages?: number;
  isStateLost?: boolean;
}

export interface ProcessListener {
  onOutput(chunk: OutputChunk): void;
  onExited(exit: ProcessExit): void;
  /** It exited, and nothing of it is left that could be killed. */
  onGone(): void;
}

/** What the worker started under a process id, follows by its output, and may signal. */
export interface SessionProcess {
  readonly window: OutputWindow;
  readonly exit: ProcessExit | undefined;
  /** Bytes of stdin that were not read yet; undefined when stdin is closed. */
  readonly unreadStdinBytes: number | undefined;
  writeStdin(data: Uint8Array, close: boolean): void;
  /** Sends the signal as `Kill` in agent.proto says; gives to how many processes. TERM and KILL resolve when all are gone. */
  kill(signal: NodeJS.Signals): Promise<number>;
}
