import { z } from "zod";
import { answer, defineTool, sessionId, WAIT_MS } from "./tool.ts";

const call = {
  call_id: z.string().optional(),
  tool: z.string().optional(),
  state: z.string().optional(),
  process_id: z.string().optional(),
  submitted_at: z.string().optional(),
  started_at: z.string().optional(),
  ended_at: z.string().optional(),
};

export const getCall = defineTool({
  name: "get_call",
  title: "Get call",
  description:
    "Look up a call by id: state, times and, once over, the result or failure of the tool itself. wait_ms waits for its end. Works after a lost connection.",
  class: "record",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    call_id: z.string().max(64).describe("As an earlier answer named it."),
    wait_ms: z.int().min(0).max(WAIT_MS.max).default(0).describe("Wait up to this long for its end."),
    cursor: z.string().max(64).optional().describe('Also its output from this cursor on; "0": the start.'),
    session_id: sessionId,
  }),
  output: z.object({
    ...call,
    notice: answer.notice,
    result: z.record(z.string(), z.unknown()).optional(),
    failure: z.record(z.string(), z.unknown()).optional(),
    output: z.string().optional(),
    next_cursor: z.string().optional(),
    has_more: z.boolean().optional(),
  }),
});

export const listCalls = defineTool({
  name: "list_calls",
  title: "List calls",
  description:
    "List a session's calls, newest first: id, tool, state, times. Finds a call whose answer was lost. Finished ones stay an hour.",
  class: "record",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: sessionId,
    limit: z.int().min(1).max(200).default(50).describe("At most so many."),
  }),
  output: z.object({ calls: z.array(z.object(call)).optional(), truncated: z.boolean().optional() }),
});
