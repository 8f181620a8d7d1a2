import { OUTPUT_BYTES } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { toBytes } from "../edits/byte-text.ts";
import { replaceText } from "../edits/replace-text.ts";
import { fileDiff } from "../edits/unified-diff.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Executor } from "../session/owned-session.ts";
import { boundedText } from "./bounded-text.ts";
import { readForEdit, whileStale } from "./edited-file.ts";

interface EditArguments {
  path: string;
  old_string: string;
  new_string: string;
  replace_all: boolean;
  dry_run: boolean;
  if_sha256?: string;
}

/** Replaces an exact text, and shows what changed. */
export const editFile: Executor = async (rawArgs, { workspace }) => {
  const args = rawArgs as unknown as EditArguments;
  if (args.old_string === args.new_string)
    throw new ToolFailure("INVALID_ARGUMENT", "old_string and new_string are the same: nothing would change");
  const sandbox = await workspace.sandbox();
  return await whileStale(() => edit(sandbox, args));
};

const edit = async (sandbox: Sandbox, args: EditArguments): Promise<Record<string, unknown>> => {
  const { path, old_string: oldString, new_string: newString, replace_all: replaceAll, dry_run: isDryRun } = args;
  const { content: old, sha256: oldSha256, mode } = await readForEdit(sandbox, path);
  if (args.if_sha256 !== undefined && args.if_sha256 !== oldSha256) {
    const message = `Cannot edit "${path}": it has the hash ${oldSha256}, not the expected ${args.if_sha256}`;
    throw new ToolFailure("STALE_FILE", message, { hint: "It changed since you read it: read it again." });
  }
  const { content, replacements } = replaceText(old, { path, oldString, newString, replaceAll });
  const { text } = fileDiff({ path, oldMode: mode, newMode: mode, old, new: content });
  const shown = boundedText(toBytes(text), OUTPUT_BYTES.default, `read_file shows "${path}" whole`);
  const result = { path, replacements, diff: shown.text, truncated: shown.isTruncated, dry_run: isDryRun };
  if (isDryRun) return result;
  const { sha256 } = await sandbox.writeFile({ path, content: toBytes(content), ifSha256: oldSha256 });
  return { ...result, sha256 };
};
