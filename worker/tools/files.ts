import { MAX_FILE_BYTES } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { Executor } from "../session/owned-session.ts";

/** Text of one `read_file`, so that a long file never fills a model's context. */
const MAX_TEXT_BYTES = 256 * 1024;

interface ReadArguments {
  path: string;
  offset: number;
  limit?: number;
  encoding: "utf8" | "base64";
}

export const readFile: Executor = async (args, { workspace }) => {
  const { path, offset, limit = 0, encoding } = args as unknown as ReadArguments;
  const sandbox = await workspace.sandbox();
  const isRaw = encoding === "base64";
  const maxBytes = isRaw ? MAX_FILE_BYTES : MAX_TEXT_BYTES;
  let file = await sandbox.readFile({
    path,
    lineOffset: BigInt(offset),
    lineLimit: BigInt(limit),
    maxBytes: BigInt(maxBytes),
    raw: isRaw,
  });
  const isImage = !isRaw && file.mime.startsWith("image/");
  if (isImage) file = await sandbox.readFile({ path, maxBytes: BigInt(MAX_FILE_BYTES), raw: true });
  const content = Buffer.from(file.content);
  const text = { content: content.toString(isRaw ? "base64" : "utf8"), encoding };
  return {
    ...(isImage ? { images: [{ mime: file.mime, data: content.toString("base64") }] } : text),
    total_lines: Number(file.totalLines),
    truncated: file.truncated,
    sha256: file.sha256,
    size_bytes: Number(file.sizeBytes),
    mime: file.mime,
    ...(isRaw || isImage || file.isUtf8
      ? {}
      : { lossy: true, notice: "Bytes that are no UTF-8 are shown as U+FFFD; encoding base64 has them." }),
  };
};

interface WriteArguments {
  path: string;
  content: string;
  encoding: "utf8" | "base64";
  mode?: string;
  if_sha256?: string;
}

export const writeFile: Executor = async (args, { workspace }) => {
  const { path, content, encoding, mode, if_sha256: ifSha256 = "" } = args as unknown as WriteArguments;
  const sandbox = await workspace.sandbox();
  const bytes = decode(content, encoding);
  const written = await sandbox.writeFile({
    path,
    content: bytes,
    mode: mode ? Number.parseInt(mode, 8) : 0,
    ifSha256,
  });
  return { path, size_bytes: Number(written.sizeBytes), sha256: written.sha256, created: written.created };
};

const decode = (content: string, encoding: "utf8" | "base64"): Buffer => {
  if (encoding === "base64" && !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(content)) {
    throw new ToolFailure("INVALID_ARGUMENT", "content is not base64");
  }
  const bytes = Buffer.from(content, encoding);
  if (bytes.length > MAX_FILE_BYTES) {
    throw new ToolFailure("FILE_TOO_LARGE", `content has ${bytes.length} bytes; write_file takes ${MAX_FILE_BYTES}`, {
      hint: "Write the file in parts with run_command, or make it there.",
    });
  }
  return bytes;
};

interface ListArguments {
  path: string;
  glob?: string;
  depth?: number;
  include_hidden: boolean;
  respect_gitignore: boolean;
  limit: number;
}

export const listFiles: Executor = async (args, { workspace }) => {
  const { path, glob = "", depth, include_hidden, respect_gitignore, limit } = args as unknown as ListArguments;
  const sandbox = await workspace.sandbox();
  const { entries, truncated } = await sandbox.listFiles({
    path,
    glob,
    depth: depth ?? (glob ? 20 : 1),
    includeHidden: include_hidden,
    respectGitignore: respect_gitignore,
    limit,
  });
  return {
    entries: entries.map((entry) => ({
      path: entry.path,
      type: entry.type,
      size_bytes: Number(entry.sizeBytes),
      mtime: new Date(Number(entry.mtimeMs)).toISOString(),
    })),
    truncated,
  };
};
