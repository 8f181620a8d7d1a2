import { z } from "zod";
import { answer, defineTool, idempotencyKey, MAX_FILE_BYTES, path, sessionId } from "./tool.ts";

export const readFile = defineTool({
  name: "read_file",
  title: "Read file",
  description:
    "Read a file of the workspace. Text comes with its line count and sha256; use offset and limit to page through long files. Images come as images; other binary files need encoding base64.",
  class: "lane",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    path: path.describe("Relative to the workdir, or absolute inside it."),
    offset: z.int().min(1).default(1).describe("First line to return, from 1."),
    limit: z.int().min(1).max(100_000).optional().describe("The most lines to return."),
    encoding: z.enum(["utf8", "base64"]).default("utf8").describe("base64 returns the exact bytes, without lines."),
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
    "Create or replace a file of the workspace, atomically; parent folders are made. With if_sha256 it is refused when the file has changed since you read it. Returns the size and sha256.",
  class: "lane",
  mutates: true,
  destructive: true,
  idempotent: true,
  input: z.strictObject({
    path: path.describe("Relative to the workdir, or absolute inside it."),
    content: z
      .string()
      .max(Math.ceil((MAX_FILE_BYTES * 4) / 3) + 4)
      .describe("The whole new content."),
    encoding: z.enum(["utf8", "base64"]).default("utf8").describe("How content is written here."),
    mode: z
      .string()
      .regex(/^0?[0-7]{3}$/, 'must be octal, such as "755"')
      .optional()
      .describe('Permissions in octal, such as "755".'),
    if_sha256: z
      .string()
      .regex(/^([0-9a-f]{64}|absent)$/, 'must be 64 lower-case hex digits, or "absent"')
      .optional()
      .describe('Write only if the file has this sha256 now; "absent": only if there is none.'),
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
    "List a folder of the workspace with type, size and modification time. depth goes into subfolders, glob filters (for example **/*.py), respect_gitignore leaves out what git ignores.",
  class: "lane",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    path: path.default(".").describe("Folder, relative to the workdir or absolute inside it."),
    glob: z
      .string()
      .max(1_000)
      .optional()
      .describe("Only paths (relative to the folder) that match; sets depth to 20."),
    depth: z.int().min(1).max(20).optional().describe("How many levels to list. Default 1."),
    include_hidden: z.boolean().default(false).describe("Also names that begin with a dot."),
    respect_gitignore: z.boolean().default(false).describe("Leave out what .gitignore files name."),
    limit: z.int().min(1).max(5_000).default(500).describe("The most entries to return."),
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
