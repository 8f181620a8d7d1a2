import { z } from "zod";
import { answer, defineTool, environment, idempotencyKey, sessionId } from "./tool.ts";

const limits = z.object({ memory_mb: z.number(), cpus: z.number(), disk_mb: z.number(), pids: z.number() }).partial();

const session = {
  session_id: z.string().optional(),
  state: z.string().optional(),
  workdir: z.string().optional(),
  image: z.string().optional(),
  limits: limits.optional(),
  worker: z.string().optional(),
  created_at: z.string().optional(),
  last_used_at: z.string().optional(),
  expires_at: z.string().optional(),
  calls_open: z.number().optional(),
  processes_running: z.number().optional(),
};

export const createSession = defineTool({
  name: "create_session",
  title: "Create session",
  description:
    "Make a fresh, isolated Linux sandbox (own container and workspace; Python 3 with pip and pytest, Node.js, git, ripgrep) and get its session_id and workdir. Pass that id to other tools; they use one default session if you pass none.",
  class: "lane",
  mutates: true,
  destructive: false,
  idempotent: false,
  input: z.strictObject({
    env: environment.optional().describe("Environment variables for every command of the session."),
    memory_mb: z.int().min(64).max(8192).default(512).describe("Memory for its processes, in MiB."),
    cpus: z.number().min(0.1).max(16).default(1).describe("Share of CPU cores; 0.5 is half a core."),
    idle_timeout_s: z
      .int()
      .min(10)
      .max(86_400)
      .default(1800)
      .describe("Seconds without any call after which the session and its files are removed."),
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    workdir: z.string().optional(),
    image: z.string().optional(),
    limits: limits.optional(),
    expires_at: z.string().optional(),
  }),
});

export const getSession = defineTool({
  name: "get_session",
  title: "Get session",
  description:
    "Show one session: its state, working directory, limits, the worker that runs it, how many calls and processes are open, and when it expires if it stays idle.",
  class: "record",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({ session_id: sessionId }),
  output: z.object({ ...session, notice: z.string().optional() }),
});

export const listSessions = defineTool({
  name: "list_sessions",
  title: "List sessions",
  description:
    "List your sessions that still exist, newest first, with their state and expiry. Use it to find a session again after losing its id. The count is bounded by limit.",
  class: "record",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: sessionId.describe("Only this session."),
    limit: z.int().min(1).max(200).default(50).describe("The most sessions to return."),
  }),
  output: z.object({ sessions: z.array(z.object(session)).optional(), truncated: z.boolean().optional() }),
});

export const closeSession = defineTool({
  name: "close_session",
  title: "Close session",
  description:
    "End a session now: its processes are killed and its files, container and records are removed for good. Calls that still run or wait in it fail. Copy out what you need first.",
  class: "control",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({ session_id: z.string().max(64).describe("The session to end.") }),
  output: z.object({ ...answer, closed: z.boolean().optional() }),
});
