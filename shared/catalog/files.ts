import { z } from "zod";
import { answer, defineTool, idempotencyKey, MAX_FILE_BYTES, OUTPUT_BYTES, path, sessionId } from "./tool.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hex digits");

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

export const editFile = defineTool({
  name: "edit_file",
  title: "Edit file",
  description:
    "Replace an exact text in a file, whitespace included, and get the diff. old_string must occur once (or set replace_all); on a miss the nearest match is shown. CRLF files keep CRLF.",
  class: "lane",
  toolset: "core",
  mutates: true,
  destructive: true,
  idempotent: false,
  input: z.strictObject({
    path: path.describe("Relative to the workdir, or absolute."),
    old_string: z.string().min(1).max(1_000_000).describe("Text to replace, with enough lines to be unique."),
    new_string: z.string().max(MAX_FILE_BYTES).describe("Text in its place."),
    replace_all: z.boolean().default(false).describe("Every occurrence."),
    dry_run: z.boolean().default(false).describe("Only show the diff."),
    if_sha256: sha256.optional().describe("Its sha256 now."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    path: z.string().optional(),
    replacements: z.number().optional(),
    diff: z.string().optional(),
    truncated: z.boolean().optional(),
    dry_run: z.boolean().optional(),
    sha256: z.string().optional(),
    effects_lost: z.boolean().optional(),
  }),
});

export const applyPatch = defineTool({
  name: "apply_patch",
  title: "Apply patch",
  description:
    "Change many files at once by a unified diff (a/ and b/ names) or *** Begin Patch. All or nothing and exact: a hunk whose old lines differ is refused with the reason. Creates, deletes, renames.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: true,
  idempotent: false,
  input: z.strictObject({
    patch: z.string().min(1).max(4_000_000).describe("The patch."),
    dry_run: z.boolean().default(false).describe("Only tell whether it applies."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    applied: z.boolean().optional(),
    dry_run: z.boolean().optional(),
    files: z.array(z.object({ path: z.string(), op: z.string(), from: z.string() }).partial()).optional(),
    rejects: z.array(z.object({ path: z.string(), reason: z.string() }).partial()).optional(),
    effects_lost: z.boolean().optional(),
  }),
});

export const searchFiles = defineTool({
  name: "search_files",
  title: "Search files",
  description:
    "Search file contents by regular expression (ripgrep's) or plain text. Skips what .gitignore names, binary files and dependency folders unless path names them; reads hidden files.",
  class: "lane",
  toolset: "core",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    pattern: z
      .string()
      .min(1)
      .max(2_000)
      .refine((text) => !text.includes("\0"), "must not contain a NUL character")
      .describe("What a line must match."),
    literal: z.boolean().default(false).describe("pattern is plain text."),
    path: path.default(".").describe("Folder or file."),
    glob: z
      .string()
      .min(1)
      .max(1_000)
      .refine((text) => !text.includes("\0"), "must not contain a NUL character")
      .optional()
      .describe("Only such files (*.py, src/**); ! excludes."),
    mode: z.enum(["content", "files", "count"]).default("content").describe("Lines, file names, or lines per file."),
    context: z.int().min(0).max(20).default(0).describe("Lines around a match."),
    case_sensitive: z.boolean().default(true).describe("Case counts."),
    limit: z.int().min(1).max(2_000).default(200).describe("At most so many."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    matches: z
      .array(
        z
          .object({ path: z.string(), line: z.number(), text: z.string(), context: z.boolean(), count: z.number() })
          .partial(),
      )
      .optional(),
    truncated: z.boolean().optional(),
  }),
});

export const diffWorkspace = defineTool({
  name: "diff_workspace",
  title: "Diff workspace",
  description:
    "Show what changed in the workspace since the session began, since a checkpoint, or by the last call that could change files, as a git diff with statistics. Leaves out what .gitignore names and dependency folders.",
  class: "lane",
  toolset: "full",
  mutates: false,
  destructive: false,
  idempotent: true,
  input: z.strictObject({
    since: z
      .string()
      .max(64)
      .regex(/^(session|last_call|ckpt_\w+)$/, "must be session, last_call or the id of a checkpoint")
      .default("session")
      .describe("session, last_call or a checkpoint's id."),
    path: path.default(".").describe("Only this folder or file."),
    max_output_bytes: z.int().min(1_000).max(OUTPUT_BYTES.max).default(OUTPUT_BYTES.default).describe("Of the diff."),
    session_id: sessionId,
  }),
  output: z.object({
    ...answer,
    since: z.string().optional(),
    diff: z.string().optional(),
    files: z
      .array(z.object({ path: z.string(), op: z.string(), insertions: z.number(), deletions: z.number() }).partial())
      .optional(),
    stat: z.object({ files: z.number(), insertions: z.number(), deletions: z.number() }).partial().optional(),
    truncated: z.boolean().optional(),
    lossy: z.boolean().optional(),
  }),
});
