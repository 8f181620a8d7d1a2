import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { SearchFiles } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { NEVER_SOURCE } from "../../frames/never-source.ts";
import { AgentFailure } from "../failure.ts";
import { MatchReader, type SearchMatch } from "./match-reader.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const LIMIT_MAX = 5_000;
const TIMEOUT_MS = 30_000;
/** Of a line that is shown; ripgrep says of a longer one that it was cut. */
const LINE_MAX_COLUMNS = 500;
const STDERR_MAX_BYTES = 4_096;

const MODE_FLAGS: Record<string, readonly string[]> = {
  content: ["--line-number", "--no-heading"],
  files: ["--files-with-matches"],
  count: ["--count"],
};

interface RipgrepEnd {
  code: number | null;
  stderr: string;
  isTimedOut: boolean;
}

/** Hidden files are searched, ignored and binary ones are not. Files come in the order of their paths. */
export const searchFiles = async (
  paths: WorkspacePaths,
  request: SearchFiles,
  env: Record<string, string>,
): Promise<{ matches: SearchMatch[]; truncated: boolean }> => {
  const action = `Cannot search "${request.path || "."}"`;
  const root = paths.existing(request.path, action);
  const stat = statSync(root);
  const isFolder = stat.isDirectory();
  if (!isFolder && !stat.isFile()) throw new AgentFailure("NOT_A_FILE", `${action}: it is not a regular file`);
  const folder = isFolder ? root : dirname(root);
  const reader = new MatchReader(request.mode, Math.min(request.limit || LIMIT_MAX, LIMIT_MAX));
  const args = [...ripgrepArguments(request), "--", isFolder ? "./" : `./${basename(root)}`];
  const { code, stderr, isTimedOut } = await ripgrep(args, { folder, env, action, reader });
  if (isTimedOut)
    throw new AgentFailure("TIMED_OUT", `${action}: it took more than ${TIMEOUT_MS / 1000} s; name a smaller folder`);
  if (stderr !== "" && reader.matches.length === 0)
    throw new AgentFailure("INVALID_ARGUMENT", `${action}: ${stderr.replace(/^rg: /, "").trim()}`);
  if (code === null && !reader.isFull)
    throw new AgentFailure("OUT_OF_MEMORY", `${action}: the search was killed, mostly for lack of memory`);
  const prefix = paths.relative(folder);
  const matches = reader.matches.map((match) => ({ ...match, path: join(prefix, match.path) }));
  return { matches, truncated: reader.isFull };
};

const ripgrepArguments = ({ pattern, literal, glob, mode, context, caseSensitive }: SearchFiles): string[] => {
  const modeFlags = MODE_FLAGS[mode];
  if (!modeFlags) throw new AgentFailure("INVALID_ARGUMENT", `There is no search mode "${mode}"`);
  return [
    ...[
      "--no-config",
      "--no-messages",
      "--color=never",
      "--null",
      "--with-filename",
      "--sort=path",
      "--hidden",
      "--no-require-git",
    ],
    ...[`--max-columns=${LINE_MAX_COLUMNS}`, "--max-columns-preview"],
    ...[...NEVER_SOURCE].map((folder) => `--glob=!${folder}`),
    ...modeFlags,
    ...(caseSensitive ? ["--case-sensitive"] : ["--ignore-case"]),
    ...(literal ? ["--fixed-strings"] : []),
    ...(glob === "" ? [] : [`--glob=${glob}`]),
    ...(context > 0 && mode === "content" ? [`--context=${context}`] : []),
    `--regexp=${pattern}`,
  ];
};

const ripgrep = (
  args: string[],
  { folder, env, action, reader }: { folder: string; env: Record<string, string>; action: string; reader: MatchReader },
): Promise<RipgrepEnd> =>
  new Promise((resolve, reject) => {
    let child: ChildProcess;
    try {
      child = spawn("rg", args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      reject(notStarted(error, action)); // an argument is too long
      return;
    }
    let stderr = "";
    let isTimedOut = false;
    const timer = setTimeout(() => {
      isTimedOut = true;
      child.kill("SIGKILL");
    }, TIMEOUT_MS);
    child.stdout?.on("data", (data: Buffer) => {
      reader.push(data);
      if (reader.isFull) child.kill("SIGKILL");
    });
    child.stderr?.on("data", (data: Buffer) => {
      if (stderr.length < STDERR_MAX_BYTES) stderr += data.toString();
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(notStarted(error, action));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      reader.end();
      resolve({ code, stderr: stderr.slice(0, STDERR_MAX_BYTES), isTimedOut });
    });
  });

/**
 * No search of our own stands in for a missing ripgrep: another dialect would give other answers to the same pattern, and
 * JavaScript's expressions can be made to backtrack for ever, in the one thread that serves the whole session.
 */
const notStarted = (error: unknown, action: string): AgentFailure => {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT")
    return new AgentFailure("UNSUPPORTED", `${action}: this image has no ripgrep (rg); run grep -rn with run_command`);
  if (code === "EAGAIN" || code === "ENOMEM")
    return new AgentFailure("QUOTA_EXCEEDED", `${action}: the session is at its limit of processes or memory`);
  if (code === "E2BIG") return new AgentFailure("INVALID_ARGUMENT", `${action}: the pattern is too long`);
  return new AgentFailure("INTERNAL", `${action}: ${(error as Error).message}`, { cause: error });
};
