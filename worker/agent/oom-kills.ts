import { readFileSync } from "node:fs";

const FILES = ["/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events"]; // cgroup v1, v2

/** Counts what the memory limit killed in this container. Reading costs a few system calls, so a start does not. */
export class OomKills {
  #seen = count();

  /** As of the last `refresh`. */
  get seen(): number {
    return this.#seen;
  }

  refresh(): number {
    this.#seen = count();
    return this.#seen;
  }
}

/** 0 where the kernel does not say. */
const count = (): number => {
  for (const file of FILES) {
    try {
      const found = /^oom_kill (\d+)$/m.exec(readFileSync(file, "latin1"));
      if (found) return Number(found[1]);
    } catch {
      // the other version of cgroups
    }
  }
  return 0;
};
