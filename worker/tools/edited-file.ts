import { MAX_FILE_BYTES } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type ByteText, fromBytes } from "../edits/byte-text.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

const ATTEMPTS = 3;

export interface EditedFile {
  content: ByteText;
  sha256: string;
  /** Permissions, such as 0o644. */
  mode: number;
}

/** A file's exact content, and what its replacement is guarded with. @throws {ToolFailure} FILE_TOO_LARGE and others */
export const readForEdit = async (sandbox: Sandbox, path: string): Promise<EditedFile> => {
  const file = await sandbox.readFile({ path, maxBytes: BigInt(MAX_FILE_BYTES), raw: true });
  return { content: fromBytes(file.content), sha256: file.sha256, mode: file.mode };
};

/**
 * Reads, computes and writes again when something else wrote the file in between: the write is guarded by the hash of what
 * was read, so that nobody's change is lost.
 */
export const whileStale = async <T>(attempt: () => Promise<T>): Promise<T> => {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      const isStale = error instanceof ToolFailure && error.code === "STALE_FILE";
      if (!isStale || attempts >= ATTEMPTS) throw error;
    }
  }
};
