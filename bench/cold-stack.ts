import { AgentClient } from "./agent-client.ts";
import type { Bench } from "./bench.ts";
import { settledAvailableMb } from "./memory-rows.ts";
import { valueRow } from "./sampling.ts";
import { coldCreations } from "./session-rows.ts";

const SESSIONS = 60;
const WARM_UP = 3;

const openSessions = async (agent: AgentClient): Promise<{ session_id: string }[]> => {
  const { sessions } = await agent.call("list_sessions", { limit: 2 * SESSIONS });
  return sessions as { session_id: string }[];
};

/** No pool: every session waits for its container, and what the machine has less afterwards is the sessions'. */
export const measureColdStack = async (bench: Bench): Promise<void> => {
  if (!bench.wants("create_session_cold", "idle_session_memory")) return;
  await bench.withStack("Without a pool", { env: { POOL_SIZE: "0" } }, async (stack) => {
    const agent = await AgentClient.connect(stack.url);
    for (let i = 0; i < WARM_UP; i++) {
      await agent.open();
      await agent.endSession();
    }
    bench.say(`${SESSIONS} sessions, one after the other, and what they take while idle`);
    const before = await settledAvailableMb();
    bench.add(await coldCreations(agent, SESSIONS, bench.signal));
    const during = await settledAvailableMb();
    for (const { session_id } of await openSessions(agent)) await agent.call("close_session", { session_id });
    const after = await settledAvailableMb();
    const taken = (before - during + (after - during)) / 2; // what others take or free meanwhile counts half
    bench.add(valueRow("idle_session_memory", taken / SESSIONS, "MB"));
    await agent.close();
  });
};
