import { z } from "zod";
import { answer, defineTool, idempotencyKey, MAX_FILE_BYTES, path, sessionId } from "./tool.ts";

export const readFile = defineTool({
  name: "read_file",
  title: "Read file",
  description:
    "Read a file. Text comes with line count and sha256; page through long files with offset and limit. Images come as images; other binary files need base64.",
  class: "lane",
  toolset: "core",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    path: path.describe("Relative to the workdir, or absolute."),
    offset: z.int().min(1).default(1).describe("First line, from 1."),
    limit: z.int().min(1).max(100_000).optional().describe("At most so many lines."),
    encoding: z.enum(["utf8", "base64"]).default("utf8").describe("base64: the exact bytes."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    content: z.string().optional(),
    encoding: z.string().optional(),
    total_lines: z.number().optional(),
    truncated: z.boolean().optional(),
    sha256: z.string().optional(),
    size_bytes: z.number().optional(),
    mime: z.string().optional(),
    lossy: z.boolean().optional(),
  }),
});

export const writeFile = defineTool({
  name: "write_file",
  title: "Write file",
  description:
    "Create or replace a file, atomically; parent folders are made. if_sha256 refuses when the file changed since you read it.",
  class: "lane",
  toolset: "core",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({
    path: path.describe("Relative to the workdir, or absolute."),
    content: z
      .string()
      .max(Math.ceil((MAX_FILE_BYTES * 4) / 3) + 4)
      .describe("Its whole content."),
    encoding: z.enum(["utf8", "base64"]).default("utf8").describe("Of content."),
    mode: z
      .string()
      .regex(/^0?[0-7]{3}$/, 'must be octal, such as "755"')
      .optional()
      .describe('Octal, such as "755".'),
    if_sha256: z
      .string()
      .regex(/^([0-9a-f]{64}|absent)$/, 'must be 64 lower-case hex digits, or "absent"')
      .optional()
      .describe('Its sha256 now, or "absent".'),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    path: z.string().optional(),
    size_bytes: z.number().optional(),
    sha256: z.string().optional(),
    created: z.boolean().optional(),
    effects_lost: z.boolean().optional(),
  }),
});

export const listFiles = defineTool({
  name: "list_files",
  title: "List files",
  description:
    "List a folder: type, size and mtime. depth goes into subfolders, glob filters (**/*.py), respect_gitignore leaves out what git ignores.",
  class: "lane",
  toolset: "core",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    path: path.default(".").describe("Folder, relative to the workdir."),
    glob: z.string().max(1_000).optional().describe("Only matching paths; sets depth to 20."),
    depth: z.int().min(1).max(20).optional().describe("Levels to list. Default 1."),
    include_hidden: z.boolean().default(false).describe("Also dot files."),
    respect_gitignore: z.boolean().default(false).describe("Skip what .gitignore names."),
    limit: z.int().min(1).max(5_000).default(500).describe("At most so many."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    entries: z
      .array(z.object({ path: z.string(), type: z.string(), size_bytes: z.number(), mtime: z.string() }).partial())
      .optional(),
    truncated: z.boolean().optional(),
  }),
});
