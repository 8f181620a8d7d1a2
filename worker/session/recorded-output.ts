import { callIdOf, type ProcessId, type SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { OutputWindow } from "./output-window.ts";

const BATCH = 64;

/** Puts what the records hold of a process's output into its call's windows, as if this worker had seen all of it. */
export const fillWindows = async (
  records: Records,
  sid: SessionId,
  id: ProcessId,
  windows: { stdout: OutputWindow; stderr: OutputWindow },
): Promise<void> => {
  const process = await records.process(sid, id);
  windows.stdout.skip(process?.evictedBefore ?? 0);
  let last: string | undefined;
  for (let hasMore = true; hasMore; ) {
    const entries = await records.output(sid, callIdOf(id), last, BATCH);
    for (const { isStderr, data } of entries) windows[isStderr ? "stderr" : "stdout"].push(data);
    last = entries.at(-1)?.id;
    hasMore = entries.length === BATCH;
  }
};
