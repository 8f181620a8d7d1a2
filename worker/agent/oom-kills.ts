import { readFileSync } from "node:fs";

const FILES = ["/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events"]; // cgroup v1, v2

/** How often the memory limit has killed something in this container; 0 where the kernel does not say. */
export const countOomKills = (): number => {
  for (const file of FILES) {
    try {
      const count = /^oom_kill (\d+)$/m.exec(readFileSync(file, "latin1"));
      if (count) return Number(count[1]);
    } catch {
      // the other version of cgroups
    }
  }
  return 0;
};
