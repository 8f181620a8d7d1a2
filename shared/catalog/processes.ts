import { z } from "zod";
import {
  answer,
  defineTool,
  environment,
  idempotencyKey,
  OUTPUT_BYTES,
  path,
  sessionId,
  WAIT_MS,
  waitMs,
} from "./tool.ts";

const processId = z.string().max(64).describe("As run_command returned it.");
export const SIGNALS = ["SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

const processEnd = {
  exit_code: z.number().nullable().optional(),
  signal: z.string().nullable().optional(),
  duration_ms: z.number().optional(),
};

export const commandResult = {
  ...answer,
  process_id: z.string().optional(),
  ...processEnd,
  stdout: z.string().optional(),
  stderr: z.string().optional(),
  truncated: z.boolean().optional(),
  lossy: z.boolean().optional(),
  next_cursor: z.string().optional(),
  log_path: z.string().optional(),
  effects_lost: z.boolean().optional(),
};

export const runCommand = defineTool({
  name: "run_command",
  title: "Run command",
  description:
    "Run bash in the session: exit code, stdout, stderr. What outlives wait_ms goes on: follow it with read_process or get_call. Use background for servers. Failing, timing out and being killed are normal results.",
  class: "lane",
  toolset: "core",
  mutates: true,
  destructive: true,
  idempotent: false,
  input: z.strictObject({
    command: z
      .string()
      .min(1)
      .max(1_000_000)
      .refine((text) => !text.includes("\0"), "must not contain a NUL character")
      .describe("Command line or script."),
    cwd: path.optional().describe("Directory; default: the workdir."),
    env: environment.optional().describe("Extra variables."),
    stdin: z.string().max(1_000_000).optional().describe("Its standard input, then closed."),
    pty: z.boolean().default(false).describe("Give it a terminal."),
    wait_ms: waitMs,
    timeout_ms: z
      .int()
      .min(1)
      .max(1_800_000)
      .optional()
      .describe("Kill its process tree then. Default 120000; background: none."),
    background: z
      .boolean()
      .default(false)
      .describe("Answer once started; lives with the session, takes write_process."),
    max_output_bytes: z
      .int()
      .min(1_000)
      .max(OUTPUT_BYTES.max)
      .default(OUTPUT_BYTES.default)
      .describe("Of stdout and of stderr each; the middle is cut."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object(commandResult),
});

export const readProcess = defineTool({
  name: "read_process",
  title: "Read process output",
  description:
    "Read a process's status and output (stdout and stderr as they came) from a cursor on. wait_ms waits for news. Works while it runs, after its end and after a lost connection.",
  class: "record",
  toolset: "core",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    process_id: processId,
    cursor: z.string().max(64).optional().describe("An earlier next_cursor; default: the start."),
    wait_ms: z.int().min(0).max(WAIT_MS.max).default(0).describe("Wait up to this long for news."),
    tail_lines: z.int().min(1).max(10_000).optional().describe("Only the last lines."),
    grep: z.string().max(1_000).optional().describe("Only lines that match this regex."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    process_id: z.string().optional(),
    output: z.string().optional(),
    next_cursor: z.string().optional(),
    has_more: z.boolean().optional(),
    evicted_before: z.number().optional(),
    log_path: z.string().optional(),
    lossy: z.boolean().optional(),
    ...processEnd,
  }),
});

export const writeProcess = defineTool({
  name: "write_process",
  title: "Write to process",
  description:
    "Type into a running process: one with pty, or in background without stdin. In a terminal \\n is Enter, \\u0003 Ctrl-C. Its output comes by read_process.",
  class: "control",
  toolset: "full",
  mutates: true,
  destructive: true,
  idempotent: false,
  input: z.strictObject({
    process_id: processId,
    data: z.string().max(1_000_000).default("").describe("Text for its standard input."),
    close: z.boolean().default(false).describe("End its input after it."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({ ...answer, process_id: z.string().optional() }),
});

export const killProcess = defineTool({
  name: "kill_process",
  title: "Kill process",
  description:
    "Signal a process at once, ahead of waiting calls. SIGTERM (default) and SIGKILL end it with all that it started; other signals go to its process group.",
  class: "control",
  toolset: "core",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({
    process_id: processId,
    signal: z.enum(SIGNALS).default("SIGTERM").describe("The signal."),
    session_id: sessionId,
  }),
  output: z.object({ ...answer, process_id: z.string().optional(), ...processEnd }),
});

export const listProcesses = defineTool({
  name: "list_processes",
  title: "List processes",
  description:
    "List what run_command and run_code started in a session, newest first: id, command, status, exit code, bytes of output. Finished ones stay an hour.",
  class: "record",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: sessionId,
    limit: z.int().min(1).max(200).default(50).describe("At most so many."),
  }),
  output: z.object({
    processes: z
      .array(
        z
          .object({
            process_id: z.string(),
            command: z.string(),
            status: z.string(),
            ...processEnd,
            started_at: z.string(),
            output_bytes: z.number(),
          })
          .partial(),
      )
      .optional(),
    truncated: z.boolean().optional(),
  }),
});
