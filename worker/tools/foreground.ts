import { ToolFailure } from "../../shared/failure.ts";
import { processIdOf } from "../../shared/ids.ts";
import { OutputWindow } from "../session/output-window.ts";
import type { CallContext } from "../session/owned-session.ts";
import type { ProcessEnd } from "../session/process-recorder.ts";

export const DEFAULT_TIMEOUT_MS = 120_000;

/** Waits for the end of a call's process; a call that is cancelled kills it first. @throws {ToolFailure} CANCELLED */
export const untilEnd = async (
  end: Promise<ProcessEnd>,
  { callId, workspace, signal }: CallContext,
): Promise<ProcessEnd> => {
  const kill = (): void => void workspace.kill(processIdOf(callId), "SIGTERM").catch(() => {}); // gone with its container then
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  const ended = await end;
  signal.removeEventListener("abort", kill);
  if (signal.aborted) throw new ToolFailure("CANCELLED", "The call was cancelled; its processes were killed");
  return ended;
};

export interface ScriptRun {
  end: ProcessEnd;
  /** The ends of what it printed: all of it with stderr last, and stderr alone. */
  output: string;
  stderr: string;
}

/** Runs a script of ours as the call's process, so that it streams, is killed and is recorded as every command. */
export const runScript = async (
  context: CallContext,
  script: { command: string; cwd: string; timeoutMs: number; outputBytes: number },
): Promise<ScriptRun> => {
  const windows = { stdout: new OutputWindow(script.outputBytes), stderr: new OutputWindow(script.outputBytes) };
  const spec = { stdin: Buffer.alloc(0), keepStdin: false, endsCall: false, ptyRows: 0, ptyColumns: 0, env: {} };
  const { command, cwd, timeoutMs } = script;
  await context.workspace.begin(context.callId);
  const started = await context.workspace.spawn(
    context.callId,
    { ...spec, command, cwd, timeoutMs: BigInt(timeoutMs) },
    windows,
    true,
  );
  const end = await untilEnd(started.end, context);
  const rest = `read_process("${processIdOf(context.callId)}") has the rest`;
  const stderr = windows.stderr.text(rest).trimEnd();
  return { end, output: [windows.stdout.text(rest).trimEnd(), stderr].filter(Boolean).join("\n"), stderr };
};
