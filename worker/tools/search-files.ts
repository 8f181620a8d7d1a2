import type { Executor } from "../session/owned-session.ts";

interface SearchArguments {
  pattern: string;
  literal: boolean;
  path: string;
  glob?: string;
  mode: "content" | "files" | "count";
  context: number;
  case_sensitive: boolean;
  limit: number;
}

/** Finds lines, files or counts; the agent runs ripgrep. */
export const searchFiles: Executor = async (args, { workspace }) => {
  const {
    pattern,
    literal,
    path,
    glob = "",
    mode,
    context,
    case_sensitive,
    limit,
  } = args as unknown as SearchArguments;
  const sandbox = await workspace.sandbox();
  const request = { pattern, literal, path, glob, mode, context, caseSensitive: case_sensitive, limit };
  const { matches, truncated } = await sandbox.searchFiles(request);
  return {
    matches: matches.map((match) => ({
      path: match.path,
      ...(mode === "content" ? { line: Number(match.line), text: match.text } : {}),
      ...(match.isContext ? { context: true } : {}),
      ...(mode === "count" ? { count: Number(match.count) } : {}),
    })),
    truncated,
  };
};
