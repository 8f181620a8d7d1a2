// What a person sees of the setup. On stderr: the commands' own output stays alone on stdout.
import { createInterface } from "node:readline/promises";

export const say = (line) => process.stderr.write(`[setup] ${line}\n`);

/** A reason to stop that one sentence explains; shown without a stack. */
export class SetupFailure extends Error {}

/** Asks on a terminal; where there is none, or `assumeYes`, the answer is yes. */
export async function mayGoOn({ assumeYes, env }) {
  if (assumeYes || env.CI || !process.stdin.isTTY || !process.stderr.isTTY) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question("[setup] Go on? [Y/n] ");
  terminal.close();
  return /^(y|yes|)$/i.test(answer.trim());
}
