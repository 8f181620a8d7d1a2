import { z } from "zod";
import { answer, defineTool, idempotencyKey, sessionId, waitMs } from "./tool.ts";

const checkpointId = z.string().max(64).describe("As create_checkpoint or list_checkpoints gave it.");
const checkpoint = {
  checkpoint_id: z.string().optional(),
  name: z.string().optional(),
  files: z.number().optional(),
  size_bytes: z.number().optional(),
  created_at: z.string().optional(),
};

export const createCheckpoint = defineTool({
  name: "create_checkpoint",
  title: "Create checkpoint",
  description: "Save all files of the session's home, until you delete the checkpoint. Only what is new is stored.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: false,
  idempotent: false,
  input: z.strictObject({
    name: z.string().min(1).max(100).optional().describe("For you to find it by."),
    wait_ms: waitMs,
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({ ...answer, ...checkpoint }),
});

export const listCheckpoints = defineTool({
  name: "list_checkpoints",
  title: "List checkpoints",
  description: "List your checkpoints, newest first: those you created, and each session's automatic ones (no name).",
  class: "record",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    session_id: z.string().max(64).optional().describe("Only of this session."),
    limit: z.int().min(1).max(500).default(50).describe("The most to return."),
  }),
  output: z.object({
    checkpoints: z.array(z.object({ ...checkpoint, session_id: z.string().optional() })).optional(),
    truncated: z.boolean().optional(),
  }),
});

export const restoreCheckpoint = defineTool({
  name: "restore_checkpoint",
  title: "Restore checkpoint",
  description:
    "Make the session's files what a checkpoint holds. All else in its home goes, all its processes are ended.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({
    checkpoint_id: checkpointId,
    wait_ms: waitMs,
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({ ...answer, ...checkpoint, processes_ended: z.number().optional() }),
});

export const deleteCheckpoint = defineTool({
  name: "delete_checkpoint",
  title: "Delete checkpoint",
  description: "Delete a checkpoint for good. Sessions that were made from it, or restored to it, keep their files.",
  class: "record",
  toolset: "full",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({ checkpoint_id: checkpointId, session_id: sessionId }),
  output: z.object({ deleted: z.boolean().optional() }),
});

export const forkSession = defineTool({
  name: "fork_session",
  title: "Fork session",
  description: "Make new sessions with a session's settings and files, as they are now or as in a checkpoint of it.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: false,
  idempotent: false,
  input: z.strictObject({
    checkpoint_id: checkpointId.optional().describe("Files to begin with; default: as they are now."),
    count: z.int().min(1).max(16).default(1).describe("How many sessions."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    checkpoint_id: checkpoint.checkpoint_id,
    session_ids: z.array(z.string()).optional(),
    failed: z.number().optional(),
  }),
});
