import { OUTPUT_BYTES } from "../../shared/catalog/index.ts";
import { processIdOf } from "../../shared/ids.ts";
import type { Executor } from "../session/owned-session.ts";
import { describeEnded, outputWindows } from "./describe-process.ts";
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
export const runCommand: Executor = async (rawArgs, call) => {
  const args = rawArgs as unknown as RunArguments;
  const windows = outputWindows(args.max_output_bytes ?? OUTPUT_BYTES.default);
  const timeoutMs = args.timeout_ms ?? (args.background ? 0 : DEFAULT_TIMEOUT_MS);
  const terminal = args.pty ? terminalSize(args.env) : { rows: 0, columns: 0 };
  const started = await call.workspace.spawn(
    call.callId,
    {
      command: args.command,
      cwd: args.cwd ?? "",
      env: { ...(args.pty ? { TERM: "xterm-256color" } : {}), ...args.env },
      stdin: Buffer.from(args.stdin ?? ""),
      timeoutMs: BigInt(timeoutMs),
      keepStdin: args.stdin === undefined && args.background === true, // for write_process
      endsCall: !args.background,
      ptyRows: terminal.rows,
      ptyColumns: terminal.columns,
    },
    windows,
    !args.background,
  );
  if (args.background) {
    return { status: "running", process_id: processIdOf(call.callId), next_cursor: started.recorder.cursor };
  }
  return await describeEnded(await untilEnd(started.end, call), windows, started, call);
};

/** As the command's own environment says it, where it does. */
const terminalSize = (env: Record<string, string> = {}): { rows: number; columns: number } => ({
  rows: sizeIn(env.LINES) ?? TERMINAL.rows,
  columns: sizeIn(env.COLUMNS) ?? TERMINAL.columns,
});

const sizeIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^[1-9]\d{0,2}$/.test(text) ? Number(text) : undefined;
