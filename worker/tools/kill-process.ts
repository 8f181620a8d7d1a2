import { ToolFailure } from "../../shared/failure.ts";
import { isProcessId } from "../../shared/ids.ts";
import type { Executor } from "../session/owned-session.ts";
import { describe } from "./describe-process.ts";

const ENDING = new Set(["SIGTERM", "SIGKILL"]);

/** Signals a process; with an ending signal it answers once the process is gone. */
export const killProcess: Executor = async (args, { workspace }) => {
  const { process_id: id, signal } = args as { process_id: string; signal: string };
  const end = isProcessId(id) ? workspace.endOf(id) : undefined;
  if (!isProcessId(id) || !end) {
    throw new ToolFailure("NOT_FOUND", `Process "${id}" does not run in this session`, {
      hint: "list_processes shows which processes run; a finished one needs no signal.",
    });
  }
  await workspace.kill(id, signal);
  return ENDING.has(signal) ? { process_id: id, ...describe(await end) } : { process_id: id, status: "running" };
};
