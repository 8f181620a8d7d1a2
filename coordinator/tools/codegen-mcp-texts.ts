import { basename } from "node:path";
import type { CallState } from "../../shared/call-record.ts";

type Structured = Record<string, unknown>;

/** What CodeGen-MCP answers where our own tools would say it otherwise, by the name of our tool. */
export const codegenTexts: Record<string, (result: Structured) => string> = {
  write_file: (r) => `Wrote ${r.size_bytes} bytes to ${r.path}`,
  list_files: (r) => {
    const lines = ((r.entries ?? []) as Structured[]).map(
      (entry) =>
        `${basename(String(entry.path))} (${entry.type === "dir" ? "dir" : "file"}, ${entry.size_bytes} bytes)\n`,
    );
    return lines.join("") + (r.truncated ? "(more were left out)\n" : "");
  },
  run_command: (r) => {
    const why = r.status === "exited" ? "" : ` (${r.status})`;
    return `Exit Code: ${r.exit_code ?? -1}${why}\n${block("Stdout", r.stdout)}${block("Stderr", r.stderr)}`;
  },
};

const block = (name: string, text: unknown): string => (text ? `\n${name}:\n${text}` : "");

const STATUS: Record<CallState, string> = {
  queued: "queued",
  running: "running",
  detached: "running",
  done: "completed",
  failed: "failed",
  cancelled: "failed",
  outcome_unknown: "failed",
  session_reset: "failed",
};

interface Task {
  id: string;
  sessionId: string;
  state: CallState;
  sequence: number;
  submittedAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** A task as CodeGen-MCP writes it: what a call answers that goes on, and what `task.get_status` does. */
export const ticket = (task: Task, message: string): string =>
  JSON.stringify({
    task_id: task.id,
    status: STATUS[task.state],
    session_id: task.sessionId,
    sequence: task.sequence,
    message,
    created_at: iso(task.submittedAt),
  });

export const progressOf = (task: Task): string => {
  const status = STATUS[task.state];
  if (task.endedAt) return `Task ${status} at ${iso(task.endedAt)}`;
  if (task.startedAt) return `Task ${status}, dispatched at ${iso(task.startedAt)}`;
  return `Task ${status}, waiting in queue`;
};
