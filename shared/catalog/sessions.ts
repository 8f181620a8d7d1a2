import { z } from "zod";
import { answer, defineTool, environment, idempotencyKey, sessionId } from "./tool.ts";

/** How a sandbox image is called, here and in a worker's settings. */
export const IMAGE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** What a session can reach. */
export const NETWORKS = ["none", "egress"] as const;

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
  checkpoints: z.array(z.string()).optional(),
};

export const createSession = defineTool({
  name: "create_session",
  title: "Create session",
  description:
    "Make a fresh Linux sandbox (own container and workspace; Python 3 with pytest, Node.js, git, ripgrep). Pass its session_id to other tools; they use one default session if you pass none.",
  class: "lane",
  toolset: "core",
  mutates: true,
  destructive: false,
  idempotent: false,
  input: z.strictObject({
    image: z
      .string()
      .regex(IMAGE_NAME, "must be an image's name")
      .optional()
      .describe("python (default), node, polyglot (both, Go, Rust, Java), or one the server adds."),
    network: z.enum(NETWORKS).optional().describe("egress reaches out; where allowed."),
    env: environment.optional().describe("Variables for all its commands."),
    memory_mb: z.int().min(64).max(8192).default(512).describe("Memory of its processes, MiB."),
    cpus: z.number().min(0.1).max(16).default(1).describe("CPU cores; 0.5 is half of one."),
    idle_timeout_s: z
      .int()
      .min(10)
      .max(86_400)
      .default(1800)
      .describe("Removed with its files after so long without a call."),
    durability: z
      .enum(["call", "idle", "none"])
      .optional()
      .describe("When files are saved: before each result, when idle, never."),
    from_checkpoint: z.string().max(64).optional().describe("checkpoint_id to begin with."),
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    session_id: z.string().optional(),
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
    "Show a session: state, workdir, limits, worker, open calls and processes, and when it expires if it stays idle.",
  class: "record",
  toolset: "full",
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
    "List your sessions, newest first, with state and expiry. Use it to find a session again after losing its id.",
  class: "record",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: sessionId.describe("Only this session."),
    limit: z.int().min(1).max(200).default(50).describe("At most so many."),
  }),
  output: z.object({ sessions: z.array(z.object(session)).optional(), truncated: z.boolean().optional() }),
});

export const closeSession = defineTool({
  name: "close_session",
  title: "Close session",
  description:
    "End a session now: its processes are killed, its files and container removed for good. Its open calls fail. Copy out what you need first.",
  class: "control",
  toolset: "core",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({ session_id: z.string().max(64).describe("Which to end.") }),
  output: z.object({ ...answer, closed: z.boolean().optional() }),
});
