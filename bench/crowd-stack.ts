import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { newToken } from "../coordinator/auth/token-line.ts";
import { AgentClient } from "./agent-client.ts";
import type { Bench } from "./bench.ts";
import { timed, timesRow } from "./sampling.ts";

/** What one principal asks for at once: more than may wait. The line of 200 takes longer to be served than we measure. */
const CROWD = 1_000;
const CAPACITY = 256;
const ALONE = 20;
const AMONG = 12;
/** Between the samples. */
const PAUSE_MS = 500;

/** The first session of one principal, alone and while another asks for a thousand. */
export const measureCrowd = async (bench: Bench): Promise<void> => {
  if (!bench.wants("create_session_alone", "create_session_crowded")) return;
  const [crowd, other] = await Promise.all([newToken("crowd", undefined), newToken("other", undefined)]);
  const file = join(tmpdir(), `codegen-mcp-bench-${process.pid}.tokens`);
  await writeFile(file, `${crowd.line}\n${other.line}\n`, { mode: 0o600 });
  const env = { AUTH_TOKENS_FILE: file, CAPACITY: String(CAPACITY), POOL_SIZE: "2", WORKSPACE_MB: "64" };
  await bench.withStack("A crowd", { env }, async (stack) => {
    const agent = await AgentClient.connect(stack.url, other.token);
    const samples = async (count: number): Promise<number[]> => {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        bench.signal.throwIfAborted();
        await sleep(PAUSE_MS);
        times.push(await timed(() => agent.open()));
        await agent.endSession();
      }
      return times;
    };
    bench.say(`one principal's sessions, alone and beside ${CROWD} of another`);
    bench.add(timesRow("create_session_alone", await samples(ALONE)));
    const workerData = { url: stack.url, token: crowd.token, count: CROWD };
    const theirs = new Worker(new URL("./crowd.js", import.meta.url), { workerData });
    await once(theirs, "message");
    bench.add(timesRow("create_session_crowded", await samples(AMONG)));
    await Promise.all([theirs.terminate(), agent.close()]);
  });
  await rm(file);
};
