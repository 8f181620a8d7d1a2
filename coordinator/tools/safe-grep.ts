import { runInNewContext } from "node:vm";
import { ToolFailure } from "../../shared/failure.ts";

/** All lines together; the expression comes from a client, and some take for ever. */
const TIMEOUT_MS = 100;

/**
 * The lines that match. V8 ends an expression that backtracks for too long, so that one client cannot stop the others.
 * @throws {ToolFailure} INVALID_ARGUMENT when it is no regular expression, or takes more than 100 ms
 */
export const safeGrep = (lines: string[], pattern: string): string[] => {
  let regex: RegExp;
  try {
    regex = new RegExp(pattern);
  } catch (cause) {
    throw new ToolFailure("INVALID_ARGUMENT", `grep is not a regular expression: ${(cause as Error).message}`, {
      cause,
    });
  }
  try {
    const matches = runInNewContext("lines.map((line) => regex.test(line))", { lines, regex }, { timeout: TIMEOUT_MS });
    return lines.filter((_, index) => (matches as boolean[])[index]);
  } catch (cause) {
    throw new ToolFailure("INVALID_ARGUMENT", `grep took longer than ${TIMEOUT_MS} ms on this output`, {
      cause,
      hint: "Use a simpler expression, or read the output and filter it yourself.",
    });
  }
};
