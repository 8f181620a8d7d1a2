import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentClient } from "./agent-client.ts";
import { percentile } from "./sampling.ts";

const SETTLE_MS = 3_000;
const READINGS = 15;
const READING_MS = 100;

/** Resident memory of a process in MB (10^6 bytes). Linux only. */
export const residentMb = async (pid: number): Promise<number> =>
  kilobytes(await readFile(`/proc/${pid}/status`, "utf8"), "VmRSS");

/** What the machine could still give, in MB: the median of some readings once it came to rest. Linux only. */
export const settledAvailableMb = async (): Promise<number> => {
  await sleep(SETTLE_MS);
  const readings: number[] = [];
  for (let i = 0; i < READINGS; i++) {
    readings.push(kilobytes(await readFile("/proc/meminfo", "utf8"), "MemAvailable"));
    await sleep(READING_MS);
  }
  return percentile(readings, 0.5);
};

const kilobytes = (text: string, name: string): number => {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text);
  if (!found) throw new Error(`this system does not tell ${name}`);
  return (Number(found[1]) * 1024) / 1e6;
};

/** Calls until the coordinator whose metrics are at `url` has answered `total`, those before included. */
export const callUntil = async (
  url: string,
  total: number,
  agents: AgentClient[],
  signal: AbortSignal,
): Promise<void> => {
  let left = total - (await callsAnswered(url));
  const work = async (agent: AgentClient): Promise<void> => {
    while (left-- > 0 && !signal.aborted) await agent.run("true");
  };
  await Promise.all(agents.map(work));
  signal.throwIfAborted();
};

const callsAnswered = async (url: string): Promise<number> => {
  const text = await (await fetch(url)).text();
  const counts = [...text.matchAll(/^codegen_calls_total\{.*\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
};
