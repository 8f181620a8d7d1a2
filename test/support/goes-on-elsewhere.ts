import { eventually } from "./eventually.ts";
import type { ToolAnswer, ToolClient } from "./tool-client.ts";

/** Runs `command` in a session that lost its worker, once another one has it. */
export const goesOnElsewhere = async (
  client: ToolClient,
  session_id: unknown,
  command: string,
  timeoutMs: number,
): Promise<ToolAnswer> =>
  await eventually(
    "the session is usable elsewhere",
    async () => {
      const answer = await client.call("run_command", { session_id, command });
      return answer.structured.status === "exited" && answer;
    },
    timeoutMs,
  );
