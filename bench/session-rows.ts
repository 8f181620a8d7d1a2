import type { AgentClient } from "./agent-client.ts";
import { type Probe, type Row, timed, timesRow } from "./sampling.ts";

/** `create_session` while the pool is full. @param whenPoolIsFull resolves when it is so again */
export const warmCreation = (agent: AgentClient, whenPoolIsFull: () => Promise<void>): Probe => ({
  name: "create_session_warm",
  sample: () => agent.open(),
  restore: async () => {
    await agent.endSession();
    await whenPoolIsFull();
  },
});

/** `create_session` again and again without a pool. The sessions stay open. */
export const coldCreations = async (agent: AgentClient, count: number, signal: AbortSignal): Promise<Row> => {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    signal.throwIfAborted();
    times.push(await timed(() => agent.open()));
  }
  return timesRow("create_session_cold", times);
};
