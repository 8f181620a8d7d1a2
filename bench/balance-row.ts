import { AgentClient } from "./agent-client.ts";
import { type Bench, labelOf } from "./bench.ts";
import { whenRunning } from "./engine-rows.ts";
import { valueRow } from "./sampling.ts";

const SESSIONS = 60;
const WORKERS = 3;

/** Opens sessions all at once, with a container ready for each of them, and counts how many the fullest worker got. */
export const measureBalance = async (bench: Bench): Promise<void> => {
  if (!bench.wants("session_balance")) return;
  const env = { POOL_SIZE: String(SESSIONS / WORKERS) };
  await bench.withStack(`${WORKERS} workers`, { workers: WORKERS, env }, async (stack) => {
    await whenRunning(bench.docker, labelOf(stack), SESSIONS, bench.signal);
    bench.say(`${SESSIONS} sessions at once`);
    const agent = await AgentClient.connect(stack.url);
    const created = await Promise.all(Array.from({ length: SESSIONS }, () => agent.call("create_session")));
    const counts = new Map<unknown, number>();
    for (const { session_id } of created) {
      const { worker } = await agent.call("get_session", { session_id });
      counts.set(worker, (counts.get(worker) ?? 0) + 1);
    }
    bench.add(valueRow("session_balance", Math.max(...counts.values()), "sessions"));
    await agent.close();
  });
};
