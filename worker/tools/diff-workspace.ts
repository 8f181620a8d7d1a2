import type { WorkspaceChange } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { fromBytes, toBytes } from "../edits/byte-text.ts";
import { type FileVersions, fileDiff } from "../edits/unified-diff.ts";
import type { Executor } from "../session/owned-session.ts";
import { boundedText } from "./bounded-text.ts";

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
export const diffWorkspace: Executor = async (args, { workspace }) => {
  const { since, path, max_output_bytes: limit } = args as unknown as DiffArguments;
  const sandbox = await workspace.sandbox();
  const { changes, truncated, calls } = await sandbox.diffWorkspace({ since, path });
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

const opOf = ({ oldMode, newMode }: WorkspaceChange): string =>
  oldMode === 0 ? "create" : newMode === 0 ? "delete" : "update";

const diffOf = ({
  path,
  oldMode,
  newMode,
  oldContent,
  newContent,
  withoutContent,
}: WorkspaceChange): { text: string; insertions: number; deletions: number } => {
  const versions: FileVersions = { path, oldMode, newMode, old: fromBytes(oldContent), new: fromBytes(newContent) };
  const diff = fileDiff(versions);
  if (withoutContent === "") return diff;
  return { ...diff, text: `${diff.text}(${WHY[withoutContent] ?? "its content is not known"})\n` };
};
