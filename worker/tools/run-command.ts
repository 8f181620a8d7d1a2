import { OUTPUT_BYTES } from "../../shared/catalog/index.ts";
import { processIdOf } from "../../shared/ids.ts";
import { outputLogPath } from "../../shared/output-log-path.ts";
import { OutputWindow } from "../session/output-window.ts";
import type { Executor } from "../session/owned-session.ts";
import type { ProcessEnd } from "../session/process-recorder.ts";
import { DEFAULT_TIMEOUT_MS, untilEnd } from "./foreground.ts";

/** Wider than a terminal usually is: programs fold their lines less. */
const TERMINAL = { rows: 40, columns: 120 };

interface RunArguments {
  command: string;
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  pty?: boolean;
  timeout_ms?: number;
  background?: boolean;
  max_output_bytes?: number;
}

/** Runs a command to its end. A command that fails, times out or is killed is a normal result. */
export const runCommand: Executor = async (rawArgs, context) => {
  const { callId, workspace } = context;
  const args = rawArgs as unknown as RunArguments;
  const processId = processIdOf(callId);
  const limit = args.max_output_bytes ?? OUTPUT_BYTES.default;
  const windows = { stdout: new OutputWindow(limit), stderr: new OutputWindow(limit) };
  const timeoutMs = args.timeout_ms ?? (args.background ? 0 : DEFAULT_TIMEOUT_MS);
  const terminal = args.pty ? terminalSize(args.env) : { rows: 0, columns: 0 };
  const { end, recorder } = await workspace.spawn(
    callId,
    {
      command: args.command,
      cwd: args.cwd ?? "",
      env: { ...(args.pty ? { TERM: "xterm-256color" } : {}), ...args.env },
      stdin: Buffer.from(args.stdin ?? ""),
      timeoutMs: BigInt(timeoutMs),
      keepStdin: args.stdin === undefined && args.background === true, // for write_process
      ptyRows: terminal.rows,
      ptyColumns: terminal.columns,
    },
    windows,
  );
  if (args.background) return { status: "running", process_id: processId, next_cursor: recorder.cursor };

  const ended = await untilEnd(end, context);
  const isTruncated = windows.stdout.isTruncated || windows.stderr.isTruncated;
  const sandbox = await workspace.sandbox();
  const log = isTruncated && ended.logBytes > 0 ? outputLogPath(sandbox.workdir, processId) : undefined;
  const rest = log ? `all of it is in ${log} (64 MiB at most)` : `read_process("${processId}") has the rest`;
  return {
    ...describe(ended),
    stdout: windows.stdout.text(rest),
    stderr: windows.stderr.text(rest),
    truncated: isTruncated,
    ...(log ? { log_path: log } : {}),
    ...(windows.stdout.isLossy || windows.stderr.isLossy ? { lossy: true } : {}),
    process_id: processId,
    next_cursor: recorder.cursor,
  };
};

/** As the command's own environment says it, where it does. */
const terminalSize = (env: Record<string, string> = {}): { rows: number; columns: number } => ({
  rows: sizeIn(env.LINES) ?? TERMINAL.rows,
  columns: sizeIn(env.COLUMNS) ?? TERMINAL.columns,
});

const sizeIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^[1-9]\d{0,2}$/.test(text) ? Number(text) : undefined;

export const describe = ({
  status,
  exitCode,
  signal,
  durationMs,
  outOfMemory,
}: ProcessEnd): Record<string, unknown> => ({
  status,
  exit_code: exitCode,
  signal,
  duration_ms: durationMs,
  ...(outOfMemory ? { notice: "The session's memory limit was reached while it ran: processes were killed." } : {}),
});
