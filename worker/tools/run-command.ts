import { OUTPUT_BYTES } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { processIdOf } from "../../shared/ids.ts";
import { OutputWindow } from "../session/output-window.ts";
import type { Executor } from "../session/owned-session.ts";
import type { ProcessEnd } from "../session/process-recorder.ts";

const DEFAULT_TIMEOUT_MS = 120_000;

interface RunArguments {
  command: string;
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  timeout_ms?: number;
  background?: boolean;
  max_output_bytes?: number;
}

/** Runs a command to its end. A command that fails, times out or is killed is a normal result. */
export const runCommand: Executor = async (rawArgs, { callId, workspace, signal }) => {
  const args = rawArgs as unknown as RunArguments;
  const processId = processIdOf(callId);
  const limit = args.max_output_bytes ?? OUTPUT_BYTES.default;
  const windows = { stdout: new OutputWindow(limit), stderr: new OutputWindow(limit) };
  const timeoutMs = args.timeout_ms ?? (args.background ? 0 : DEFAULT_TIMEOUT_MS);
  const { end, recorder } = await workspace.spawn(
    callId,
    {
      command: args.command,
      cwd: args.cwd ?? "",
      env: args.env ?? {},
      stdin: Buffer.from(args.stdin ?? ""),
      timeoutMs: BigInt(timeoutMs),
    },
    windows,
  );
  if (args.background) return { status: "running", process_id: processId, next_cursor: recorder.cursor };

  const kill = (): void => void workspace.kill(processId, "SIGTERM").catch(() => {}); // gone with its container then
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  const ended = await end;
  signal.removeEventListener("abort", kill);
  if (signal.aborted) throw new ToolFailure("CANCELLED", "The call was cancelled; its processes were killed");
  const rest = `read_process("${processId}") has the rest, the last 4 MiB of all at most`;
  return {
    ...describe(ended),
    stdout: windows.stdout.text(rest),
    stderr: windows.stderr.text(rest),
    truncated: windows.stdout.isTruncated || windows.stderr.isTruncated,
    ...(windows.stdout.isLossy || windows.stderr.isLossy ? { lossy: true } : {}),
    process_id: processId,
    next_cursor: recorder.cursor,
  };
};

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
