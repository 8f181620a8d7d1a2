import { readdir, readlink } from "node:fs/promises";

/** Open file descriptors of a process by kind: `socket`, `anon_inode:[eventpoll]`, a path. Linux only. */
export const openFiles = async (pid: number): Promise<Record<string, number>> => {
  const folder = `/proc/${pid}/fd`;
  const counts: Record<string, number> = {};
  for (const fd of await readdir(folder)) {
    const link = await readlink(`${folder}/${fd}`).catch(() => undefined); // closed since
    if (link === undefined) continue;
    const kind = link.replace(/:\[\d+\]$/, "");
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
};

export const countOf = (files: Record<string, number>): number =>
  Object.values(files).reduce((sum, count) => sum + count, 0);
