import { processIdOf } from "../../shared/ids.ts";
import { outputLogPath } from "../../shared/output-log-path.ts";
import { OutputWindow } from "../session/output-window.ts";
import type { CallContext } from "../session/owned-session.ts";
import type { ProcessEnd } from "../session/process-recorder.ts";
import type { StartedProcess } from "../session/session-workspace.ts";

export interface Windows {
  stdout: OutputWindow;
  stderr: OutputWindow;
}

export const outputWindows = (limitBytes: number): Windows => ({
  stdout: new OutputWindow(limitBytes),
  stderr: new OutputWindow(limitBytes),
});

/** What a tool says of a process that ended: how, its output, and where the rest of that is. */
export const describeEnded = async (
  ended: ProcessEnd,
  windows: Windows,
  { recorder }: StartedProcess,
  { callId, workspace }: CallContext,
): Promise<Record<string, unknown>> => {
  const processId = processIdOf(callId);
  const isTruncated = windows.stdout.isTruncated || windows.stderr.isTruncated;
  const { workdir } = await workspace.sandbox();
  const log = isTruncated && ended.logBytes > 0 ? outputLogPath(workdir, processId) : undefined;
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
