import { readdirSync, readFileSync } from "node:fs";

export interface ProcessEntry {
  pid: number;
  parent: number;
  /** One letter, as in proc(5): R, S, D, T (stopped), Z (zombie). */
  state: string;
  /** When it began, in hundredths of a second since the machine did. */
  startedAt: number;
}

/** Every process of the container. Those that end meanwhile are left out. */
export const readProcessTable = (): ProcessEntry[] => {
  const table: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const entry = readEntry(Number(name));
    if (entry) table.push(entry);
  }
  return table;
};

const readEntry = (pid: number): ProcessEntry | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the command's name in parentheses, which may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 20);
    return { pid, state: fields[0]!, parent: Number(fields[1]), startedAt: Number(fields[19]) };
  } catch {
    return undefined;
  }
};

/** The processes under any of `roots`, without the roots. Zombies are left out: they are dead and only wait for a parent. */
export const descendantsOf = (roots: readonly number[], table: readonly ProcessEntry[]): number[] => {
  const childrenOf = new Map<number, ProcessEntry[]>();
  for (const entry of table) {
    const siblings = childrenOf.get(entry.parent);
    if (siblings) siblings.push(entry);
    else childrenOf.set(entry.parent, [entry]);
  }
  const found: number[] = [];
  const queue = [...roots];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    for (const child of childrenOf.get(pid) ?? []) {
      if (child.state !== "Z") found.push(child.pid);
      queue.push(child.pid);
    }
  }
  return found;
};

/** Whether the environment that the process was started with holds `NAME=value`. False when it cannot be read. */
export const bearsMarker = (pid: number, marker: string): boolean => {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`.includes(`\0${marker}\0`);
  } catch {
    return false;
  }
};
