import { noCheckpoint } from "../../shared/checkpoint-record.ts";
import { isCheckpointId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import { fromBytes, toBytes } from "../edits/byte-text.ts";
import { type FileVersions, fileDiff } from "../edits/unified-diff.ts";
import type { CallContext, Executor } from "../session/owned-session.ts";
import { boundedText } from "./bounded-text.ts";
import { changesSinceCheckpoint, type FileChange } from "./changes-since-checkpoint.ts";

const REST = "name a path to see less at once";
const WHY: Record<string, string> = {
  large: "it is too large to show",
  unknown: "its earlier content was not kept",
};

interface DiffArguments {
  since: string;
  path: string;
  max_output_bytes: number;
}

/** Tells what changed in the workspace, as one diff that `git apply` and `apply_patch` take. */
export const diffWorkspace =
  (records: Records): Executor =>
  async (args, context) => {
    const { since, path, max_output_bytes: limit } = args as unknown as DiffArguments;
    const { changes, truncated, calls } =
      since === "session" || since === "last_call"
        ? await (await context.workspace.sandbox()).diffWorkspace({ since, path })
        : { ...(await sinceCheckpoint(records, since, path, context)), calls: 0 };
    const diffs = changes.map((change) => ({ change, ...diffOf(change) }));
    const whole = boundedText(toBytes(diffs.map(({ text }) => text).join("")), limit, REST);
    const sum = (of: (diff: (typeof diffs)[number]) => number): number =>
      diffs.reduce((total, diff) => total + of(diff), 0);
    return {
      since,
      diff: whole.text,
      files: diffs.map(({ change, insertions, deletions }) => ({
        ...{ path: change.path, op: opOf(change), insertions, deletions },
      })),
      stat: {
        files: diffs.length,
        insertions: sum(({ insertions }) => insertions),
        deletions: sum(({ deletions }) => deletions),
      },
      truncated: truncated || whole.isTruncated,
      ...(since === "last_call" && calls > 1
        ? { notice: `The last ${calls} calls came so quickly that they count as one.` }
        : {}),
      ...(whole.isLossy ? { lossy: true } : {}),
    };
  };

const sinceCheckpoint = async (
  records: Records,
  id: string,
  path: string,
  { workspace, checkpoints }: CallContext,
): Promise<{ changes: FileChange[]; truncated: boolean }> => {
  const [session, found] = await Promise.all([
    records.session(workspace.id),
    isCheckpointId(id) ? records.checkpoint(id) : undefined,
  ]);
  if (!session || found?.principal !== session.principal) throw noCheckpoint(id);
  const sandbox = await workspace.sandbox();
  return await changesSinceCheckpoint(sandbox, await checkpoints.compare(found), path);
};

const opOf = ({ oldMode, newMode }: FileChange): string =>
  oldMode === 0 ? "create" : newMode === 0 ? "delete" : "update";

const diffOf = ({
  path,
  oldMode,
  newMode,
  oldContent,
  newContent,
  withoutContent,
}: FileChange): { text: string; insertions: number; deletions: number } => {
  const versions: FileVersions = { path, oldMode, newMode, old: fromBytes(oldContent), new: fromBytes(newContent) };
  const diff = fileDiff(versions);
  if (withoutContent === "") return diff;
  return { ...diff, text: `${diff.text}(${WHY[withoutContent] ?? "its content is not known"})\n` };
};
