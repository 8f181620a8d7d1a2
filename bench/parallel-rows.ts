import type { AgentClient } from "./agent-client.ts";
import { percentile, type Row, round, timed, timesRow } from "./sampling.ts";

const SLEEPS = 5;
const WARM_UP_MS = 500;
const WINDOW_MS = 5_000;

/** `sleep 0.5` in eight sessions at once. Its value is the median wall time until the last has answered. */
export const parallelSleep = async (agents: AgentClient[], signal: AbortSignal): Promise<Row> => {
  const times: number[] = [];
  for (let i = 0; i < SLEEPS; i++) {
    signal.throwIfAborted();
    times.push(await timed(() => Promise.all(agents.map((agent) => agent.run("sleep 0.5")))));
  }
  return { ...timesRow("parallel_sleep_8", times), value: round(percentile(times, 0.5)), unit: "ms" };
};

/** Each agent calls again as soon as it is answered. The ends within the window are counted. */
export const callsPerSecond = async (agents: AgentClient[], signal: AbortSignal): Promise<Row> => {
  const times: number[] = [];
  const from = performance.now() + WARM_UP_MS;
  const until = from + WINDOW_MS;
  const work = async (agent: AgentClient): Promise<void> => {
    while (performance.now() < until && !signal.aborted) {
      const time = await timed(() => agent.run("true"));
      const now = performance.now();
      if (now >= from && now < until) times.push(time);
    }
  };
  await Promise.all(agents.map(work));
  signal.throwIfAborted();
  const perSecond = (times.length * 1_000) / WINDOW_MS;
  return { ...timesRow(`calls_${agents.length}`, times), per_second: round(perSecond) };
};
