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

const processId = z.string().max(64).describe("The process, as run_command returned it.");
export const SIGNALS = ["SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

const processEnd = {
  exit_code: z.number().nullable().optional(),
  signal: z.string().nullable().optional(),
  duration_ms: z.number().optional(),
};

export const runCommand = defineTool({
  name: "run_command",
  title: "Run command",
  description:
    "Run a bash command in the session and get its exit code, stdout and stderr. A command that outlives wait_ms goes on: follow it with read_process or get_call. Use background for servers. A command that fails, times out or is killed is a normal result.",
  class: "lane",
  mutates: true,
  destructive: true,
  idempotent: false,
  input: z.strictObject({
    command: z
      .string()
      .min(1)
      .max(1_000_000)
      .refine((text) => !text.includes("\0"), "must not contain a NUL character")
      .describe("Bash command line, or a whole script."),
    cwd: path.optional().describe("Directory to run in, relative to the workdir or absolute."),
    env: environment.optional().describe("Extra environment variables."),
    stdin: z.string().max(1_000_000).optional().describe("Text for its standard input, which is closed after it."),
    wait_ms: waitMs,
    timeout_ms: z
      .int()
      .min(1)
      .max(1_800_000)
      .optional()
      .describe("Kill the whole process tree after this time. 120000 by default; none for background."),
    background: z.boolean().default(false).describe("Answer as soon as it started; it lives until the session ends."),
    max_output_bytes: z
      .int()
      .min(1_000)
      .max(OUTPUT_BYTES.max)
      .default(OUTPUT_BYTES.default)
      .describe("The most bytes of stdout and of stderr to return; the middle is left out first."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    process_id: z.string().optional(),
    ...processEnd,
    stdout: z.string().optional(),
    stderr: z.string().optional(),
    truncated: z.boolean().optional(),
    lossy: z.boolean().optional(),
    next_cursor: z.string().optional(),
    effects_lost: z.boolean().optional(),
  }),
});

export const readProcess = defineTool({
  name: "read_process",
  title: "Read process output",
  description:
    "Read a process's output from a cursor on (stdout and stderr as they came), and its status. With wait_ms it waits for new output or the end. Works while it runs, after it ended, and after a lost connection.",
  class: "record",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    process_id: processId,
    cursor: z.string().max(64).optional().describe("next_cursor of an earlier answer; without it, from the start."),
    wait_ms: z
      .int()
      .min(0)
      .max(WAIT_MS.max)
      .default(0)
      .describe("Wait up to this long, in ms, while there is nothing new."),
    tail_lines: z.int().min(1).max(10_000).optional().describe("Only the last lines of what there is."),
    grep: z.string().max(1_000).optional().describe("Only lines that match this regular expression."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    process_id: z.string().optional(),
    output: z.string().optional(),
    next_cursor: z.string().optional(),
    has_more: z.boolean().optional(),
    evicted_before: z.number().optional(),
    lossy: z.boolean().optional(),
    ...processEnd,
  }),
});

export const killProcess = defineTool({
  name: "kill_process",
  title: "Kill process",
  description:
    "Signal a process at once, ahead of waiting calls. SIGTERM (default) and SIGKILL end it and everything it started, children that left its process group included; other signals only go to its process group.",
  class: "control",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({
    process_id: processId,
    signal: z.enum(SIGNALS).default("SIGTERM").describe("Signal to send."),
    session_id: sessionId,
  }),
  output: z.object({ ...answer, process_id: z.string().optional(), ...processEnd }),
});

export const listProcesses = defineTool({
  name: "list_processes",
  title: "List processes",
  description:
    "List the processes that run_command started in a session, newest first: id, command, status, exit code, start time and bytes of output. Finished ones stay listed for an hour.",
  class: "record",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: sessionId,
    limit: z.int().min(1).max(200).default(50).describe("The most processes to return."),
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
