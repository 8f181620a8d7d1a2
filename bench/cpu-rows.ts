import { readFile } from "node:fs/promises";
import type { EmbeddedStack } from "../compose/embedded/embedded-stack.ts";
import type { AgentClient } from "./agent-client.ts";
import { type Row, valueRow } from "./sampling.ts";

const CALLS = 1_000;
/** In which Linux tells cpu time, whatever the kernel's own clock does. */
const TICK_MS = 10;

/** The cpu time of one call in each of our processes, in ms: what a core of each gives. Linux only. */
export const cpuPerCall = async (stack: EmbeddedStack, agents: AgentClient[], signal: AbortSignal): Promise<Row[]> => {
  const processes = {
    coordinator_cpu: stack.coordinators[0]?.pid,
    worker_cpu: stack.workers[0]?.pid,
    redis_cpu: stack.redis.pid,
  };
  const used = (): Promise<number[]> => Promise.all(Object.values(processes).map((pid) => cpuMs(pid!)));
  const before = await used();
  let left = CALLS;
  const work = async (agent: AgentClient): Promise<void> => {
    while (left-- > 0 && !signal.aborted) await agent.run("true");
  };
  await Promise.all(agents.map(work));
  signal.throwIfAborted();
  const after = await used();
  return Object.keys(processes).map((name, i) => valueRow(name, (after[i]! - before[i]!) / CALLS, "ms"));
};

/** Of all its threads, in user code and in the kernel. */
const cpuMs = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name before may hold anything
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
};
