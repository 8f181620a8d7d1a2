import { ToolFailure } from "../../../shared/failure.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";

/** Relative to HOME: beside the workspace, so that no diff and no commit shows it. */
export const KEPT = ".cache/codegen-mcp";

/** What the worker keeps in a session. Whatever runs there may have changed it. */
export const readKept = async (
  sandbox: Sandbox,
  name: string,
  maxBytes: number,
): Promise<{ content: Buffer; isCut: boolean } | undefined> => {
  try {
    const path = `${KEPT}/${name}`;
    const { content, truncated } = await sandbox.readFile({ path, maxBytes: BigInt(maxBytes), inHome: true });
    return { content: Buffer.from(content), isCut: truncated };
  } catch (error) {
    if (error instanceof ToolFailure && ["NOT_FOUND", "NOT_A_FILE", "NOT_A_DIRECTORY"].includes(error.code))
      return undefined;
    throw error;
  }
};

export const writeKept = async (sandbox: Sandbox, name: string, content: string): Promise<void> => {
  await sandbox.writeFile({ path: `${KEPT}/${name}`, content: Buffer.from(content), inHome: true });
};
