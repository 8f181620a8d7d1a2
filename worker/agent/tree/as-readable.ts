import { chmodSync, lstatSync } from "node:fs";

/** Does something with a file or folder, even where its owner (whom the agent runs as) took the right to read it away. */
export const asReadable = <T>(path: string, use: () => T): T => {
  try {
    return use();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
  }
  const mode = lstatSync(path).mode & 0o7777;
  chmodSync(path, mode | 0o700);
  try {
    return use();
  } finally {
    chmodSync(path, mode);
  }
};
