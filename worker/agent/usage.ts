import { readFileSync } from "node:fs";

const CGROUP = "/sys/fs/cgroup";

/** What the container's cgroup says that all of it used; 0 where the kernel says nothing. */
export const readUsage = (): { cpuUs: bigint; memoryBytes: bigint } => ({
  cpuUs: number("cpu.stat", /^usage_usec (\d+)/m) || number("cpuacct/cpuacct.usage", /^(\d+)/) / 1000n,
  memoryBytes: number("memory.current", /^(\d+)/) || number("memory/memory.usage_in_bytes", /^(\d+)/),
});

/** cgroup v2 has the former of each pair of files, v1 the latter. */
const number = (file: string, pattern: RegExp): bigint => {
  try {
    return BigInt(pattern.exec(readFileSync(`${CGROUP}/${file}`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0n;
  }
};
