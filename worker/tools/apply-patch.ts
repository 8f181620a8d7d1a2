import { ToolFailure } from "../../shared/failure.ts";
import { fromText } from "../edits/byte-text.ts";
import { isBeginPatch, parseBeginPatch } from "../edits/parse-begin-patch.ts";
import { parseUnifiedDiff } from "../edits/parse-unified-diff.ts";
import { type FilePatch, Reject } from "../edits/patch.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Executor } from "../session/owned-session.ts";
import { whileStale } from "./edited-file.ts";
import { PatchedFiles } from "./patched-files.ts";

const FILES_MAX = 200;
const REJECTS_SHOWN = 5;
const HINT = "Nothing was changed. Read the files again and make the patch from what they hold now.";

interface PatchArguments {
  patch: string;
  dry_run: boolean;
}

interface Rejected {
  path: string;
  reason: string;
}

/** Changes many files as one: all of the patch, exactly as it says, or nothing. */
export const applyPatch: Executor = async (rawArgs, { workspace }) => {
  const { patch, dry_run: isDryRun } = rawArgs as unknown as PatchArguments;
  const patches = parse(patch);
  const sandbox = await workspace.sandbox();
  return await whileStale(() => apply(sandbox, patches, isDryRun));
};

const parse = (patch: string): FilePatch[] => {
  const text = fromText(patch);
  try {
    const patches = isBeginPatch(text) ? parseBeginPatch(text) : parseUnifiedDiff(text);
    if (patches.length > FILES_MAX)
      throw new Reject(`it changes ${patches.length} files; one patch may change ${FILES_MAX}`);
    return patches;
  } catch (error) {
    if (!(error instanceof Reject)) throw error;
    throw new ToolFailure("PATCH_REJECTED", `The patch cannot be read: ${error.message}`, {
      hint: "Send a unified diff with a/ and b/ names, or *** Begin Patch … *** End Patch.",
    });
  }
};

const apply = async (
  sandbox: Sandbox,
  patches: readonly FilePatch[],
  isDryRun: boolean,
): Promise<Record<string, unknown>> => {
  const files = new PatchedFiles(sandbox);
  const rejects: Rejected[] = [];
  for (const patch of patches) {
    try {
      await files.apply(patch);
    } catch (error) {
      if (!(error instanceof Reject)) throw error;
      rejects.push({ path: patch.oldPath, reason: error.message });
    }
  }
  if (rejects.length > 0 && !isDryRun) throw rejected(rejects);
  if (!isDryRun) await files.write();
  const done = patches.map(({ op, path, oldPath }) => ({ path, op, ...(op === "rename" ? { from: oldPath } : {}) }));
  return { applied: !isDryRun, dry_run: isDryRun, files: done, ...(rejects.length > 0 ? { rejects } : {}) };
};

const rejected = (rejects: readonly Rejected[]): ToolFailure => {
  const told = rejects.slice(0, REJECTS_SHOWN).map(({ path, reason }) => `${path}: ${reason}`);
  const more = rejects.length > REJECTS_SHOWN ? `; and ${rejects.length - REJECTS_SHOWN} more files` : "";
  return new ToolFailure("PATCH_REJECTED", `The patch does not apply: ${told.join("; ")}${more}`, { hint: HINT });
};
