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
    "Look up an earlier call by its id: its state, times and, once it is over, the result or failure that the tool itself would have returned. With wait_ms it waits for the end. Works after a lost connection.",
  class: "record",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    call_id: z.string().max(64).describe("The call, as an earlier answer named it."),
    wait_ms: z.int().min(0).max(WAIT_MS.max).default(0).describe("Wait up to this long, in ms, for its end."),
    cursor: z
      .string()
      .max(64)
      .optional()
      .describe('Also return the output of the call\'s process from this cursor on; "0" for its start.'),
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
    "List a session's calls, newest first: id, tool, state and times. Use it to find a call whose answer was lost, then get_call for its result. Finished calls stay for an hour.",
  class: "record",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: sessionId,
    limit: z.int().min(1).max(200).default(50).describe("The most calls to return."),
  }),
  output: z.object({ calls: z.array(z.object(call)).optional(), truncated: z.boolean().optional() }),
});
