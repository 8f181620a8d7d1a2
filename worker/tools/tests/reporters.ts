import { readFile } from "node:fs/promises";

/** The text of one of our reporters, which run inside the session. */
export const readReporter = async (name: string): Promise<string> =>
  await readFile(new URL(`reporters/${name}`, import.meta.url), "utf8");
