import { posix } from "node:path";
import { type TreeEntry, TreeKind } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { ToolFailure } from "../../shared/failure.ts";
import type { CheckpointFiles } from "../checkpoint/checkpoint-files.ts";
import { NEVER_SOURCE } from "../frames/never-source.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

const LISTED_MAX = 20_000;
const DEPTH_MAX = 64;
const CHANGES_MAX = 2_000;
/** Of one file that is shown, and of all together: they are held in memory. */
const FILE_MAX_BYTES = 512 * 1024;
const TOTAL_MAX_BYTES = 8 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** A file before and after, as the agent's own comparison gives it, see agent.proto. */
export interface FileChange {
  path: string;
  oldMode: number;
  newMode: number;
  oldContent: Uint8Array;
  newContent: Uint8Array;
  withoutContent: string;
}

/** What differs in the workspace between a checkpoint and now; like the agent's own comparison, without what is no source. */
export const changesSinceCheckpoint = async (
  sandbox: Sandbox,
  { now, then }: { now: readonly TreeEntry[]; then: CheckpointFiles },
  path: string,
): Promise<{ changes: FileChange[]; truncated: boolean }> => {
  const { workdir } = sandbox;
  const within = posix.relative(workdir, posix.resolve(workdir, path));
  if (within.startsWith(".."))
    throw new ToolFailure("PATH_OUTSIDE_WORKSPACE", `Cannot compare "${path}": it is outside the workspace`);
  const isAsked = (file: string): boolean => within === "" || file === within || file.startsWith(`${within}/`);
  const filesOf = (entries: readonly TreeEntry[]) => sources(entries, `${posix.basename(workdir)}/`, isAsked);
  const [before, after] = [filesOf(then.entries), filesOf(now)];
  const shown = await shownFiles(sandbox);
  const changes: FileChange[] = [];
  let bytes = 0;
  for (const file of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old, next] = [before.get(file), after.get(file)];
    if ((next && !shown.has(file)) || (old && next && isSame(old, next))) continue;
    if (changes.length >= CHANGES_MAX) return { changes, truncated: true };
    const size = Number(old?.sizeBytes ?? 0) + Number(next?.sizeBytes ?? 0);
    const isLarge = [old, next].some((entry) => Number(entry?.sizeBytes ?? 0) > FILE_MAX_BYTES);
    const change = { path: file, oldMode: gitMode(old), newMode: gitMode(next) };
    if (isLarge || bytes + size > TOTAL_MAX_BYTES) {
      changes.push({ ...change, oldContent: NOTHING, newContent: NOTHING, withoutContent: "large" });
      continue;
    }
    bytes += size;
    const oldContent = old ? (linkTarget(old) ?? (await then.content(old))) : NOTHING;
    const newContent = next ? (linkTarget(next) ?? (await read(sandbox, file))) : NOTHING;
    changes.push({ ...change, oldContent, newContent, withoutContent: "" });
  }
  return { changes, truncated: false };
};

/** Files and links of the workspace, by their paths in it. */
const sources = (
  entries: readonly TreeEntry[],
  prefix: string,
  isAsked: (file: string) => boolean,
): Map<string, TreeEntry> => {
  const found = new Map<string, TreeEntry>();
  for (const entry of entries) {
    if (entry.kind !== TreeKind.FILE && entry.kind !== TreeKind.SYMLINK) continue;
    if (!entry.path.startsWith(prefix)) continue;
    const path = entry.path.slice(prefix.length);
    if (isAsked(path) && !path.split("/").some((part) => NEVER_SOURCE.has(part))) found.set(path, entry);
  }
  return found;
};

/** What .gitignore does not name. */
const shownFiles = async (sandbox: Sandbox): Promise<Set<string>> => {
  const request = { path: ".", depth: DEPTH_MAX, includeHidden: true, respectGitignore: true, limit: LISTED_MAX };
  const { entries, truncated } = await sandbox.listFiles(request);
  if (truncated)
    throw new ToolFailure(
      "UNSUPPORTED",
      `The workspace has more than ${LISTED_MAX} files that .gitignore does not name`,
    );
  return new Set(entries.map(({ path }) => path));
};

const isSame = (a: TreeEntry, b: TreeEntry): boolean =>
  gitMode(a) === gitMode(b) && a.target === b.target && Buffer.from(a.chunks).equals(b.chunks);

const gitMode = (entry: TreeEntry | undefined): number =>
  entry === undefined ? 0 : entry.kind === TreeKind.SYMLINK ? 0o120000 : entry.mode & 0o100 ? 0o100755 : 0o100644;

const linkTarget = ({ kind, target }: TreeEntry): Buffer | undefined =>
  kind === TreeKind.SYMLINK ? Buffer.from(target) : undefined;

const read = async (sandbox: Sandbox, path: string): Promise<Uint8Array> =>
  (await sandbox.readFile({ path, raw: true, maxBytes: BigInt(TOTAL_MAX_BYTES) })).content;
