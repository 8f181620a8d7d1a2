import { ToolFailure } from "../../shared/failure.ts";
import { isProcessId } from "../../shared/ids.ts";
import type { Executor } from "../session/owned-session.ts";

interface WriteArguments {
  process_id: string;
  data: string;
  close: boolean;
}

/** Writes to a process's standard input. What it reads of it, and when, its output tells. */
export const writeProcess: Executor = async (args, { workspace }) => {
  const { process_id: id, data, close } = args as unknown as WriteArguments;
  if (!isProcessId(id) || !workspace.endOf(id)) {
    throw new ToolFailure("NOT_FOUND", `Process "${id}" does not run in this session`, {
      hint: "list_processes shows which processes run; read_process how this one ended.",
    });
  }
  await workspace.writeStdin(id, Buffer.from(data), close);
  return { process_id: id, status: "running" };
};
