import { z } from "zod";
import { answer, defineTool, idempotencyKey, path, sessionId } from "./tool.ts";

const artifact = {
  artifact_id: z.string().optional(),
  path: z.string().optional(),
  size_bytes: z.number().optional(),
  mime: z.string().optional(),
};
const link = { url: z.string().optional(), expires_at: z.string().optional() };

export const listArtifacts = defineTool({
  name: "list_artifacts",
  title: "List artifacts",
  description:
    "List the files below a folder of the workspace, with ids that get_artifact takes: what a build left, ready to be downloaded.",
  class: "lane",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    path: path.default(".").describe("Folder."),
    limit: z.int().min(1).max(1_000).default(100).describe("At most so many."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    artifacts: z.array(z.object(artifact)).optional(),
    truncated: z.boolean().optional(),
  }),
});

export const getArtifact = defineTool({
  name: "get_artifact",
  title: "Get artifact",
  description:
    "Get a short-lived URL to download a file of the session, of any size; give it to whoever needs the file. Small text comes along.",
  class: "lane",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    artifact_id: z.string().min(1).max(8_192).optional().describe("From list_artifacts."),
    path: path.optional().describe("Or the file's path."),
    session_id: sessionId,
  }),
  output: z.object({ ...answer, ...artifact, ...link, content: z.string().optional() }),
});

export const putArtifact = defineTool({
  name: "put_artifact",
  title: "Put artifact",
  description:
    "Get a short-lived URL that takes a file of up to 1 GiB by HTTP PUT and writes it to a path of the workspace, atomically.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({
    path: path.describe("Where the file goes."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({ ...answer, ...artifact, ...link }),
});

/** How a coordinator has a worker move a file's bytes: lane calls, so that they keep the session's order. Nobody is offered them. */
export const sendFile = defineTool({
  name: "send_file",
  title: "Send file",
  description: "Sends a file of the workspace to the coordinator that asks for it, as the answer to a signed URL.",
  class: "lane",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    path,
    to: z.string(),
    range: z.string().optional(),
    facts_only: z.boolean(),
    session_id: sessionId,
  }),
  output: z.object({ ...answer, ...artifact }),
});

export const receiveFile = defineTool({
  name: "receive_file",
  title: "Receive file",
  description: "Takes a file from the coordinator that has it from a signed URL, and writes it into the workspace.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: true,
  idempotent: false,
  input: z.strictObject({ path, from: z.string(), max_bytes: z.int(), session_id: sessionId }),
  output: z.object({ ...answer, ...artifact, sha256: z.string().optional() }),
});
