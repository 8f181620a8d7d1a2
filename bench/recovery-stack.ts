import { setTimeout as sleep } from "node:timers/promises";
import { AgentClient } from "./agent-client.ts";
import { type Bench, labelOf } from "./bench.ts";
import { whenRunning } from "./engine-rows.ts";
import { type Row, timed, timesRow } from "./sampling.ts";

const POOL_SIZE = 2;
const PAIRS = 60;
const WARM_UP = 10;
const RESTORES = 15;
const AGENT_START_MS = 250;
/** Files of 10 KB that nothing can shrink. */
const files = (count: number): string =>
  `mkdir -p d && cd d && head -c ${count * 10_000} /dev/urandom | split -b 10000 -a 4 - f`;

/** What `durability` call adds to a call that changes 1 KB, and how long a session takes that begins with 10 MB. */
export const measureRecovery = async (bench: Bench): Promise<void> => {
  if (!bench.wants("durability_call_extra", "durability_call_extra_100mb", "create_session_restore")) return;
  await bench.withStack("Recovery", { env: { POOL_SIZE: String(POOL_SIZE) } }, async (stack) => {
    for (const [name, count] of [
      ["durability_call_extra", 1_000],
      ["durability_call_extra_100mb", 10_000],
    ] as const) {
      if (!bench.wants(name)) continue;
      bench.say(`${name}: 1 KB changed in ${count} files, ${PAIRS} samples`);
      bench.add(await durabilityExtra(name, stack.url, count, bench.signal));
    }
    if (!bench.wants("create_session_restore")) return;
    bench.say(`create_session_restore: ${RESTORES} samples`);
    const whenPoolIsFull = async (): Promise<void> => {
      await whenRunning(bench.docker, labelOf(stack), POOL_SIZE, bench.signal);
      await sleep(AGENT_START_MS);
    };
    bench.add(await restores(stack.url, whenPoolIsFull, bench.signal));
  });
};

const open = async (url: string, durability: string, fileCount: number): Promise<AgentClient> => {
  const agent = await AgentClient.connect(url);
  await agent.open({ durability });
  const made = await agent.use("run_command", { command: files(fileCount), wait_ms: 50_000 });
  if (made.exit_code !== 0) throw new Error(`the files could not be made: ${JSON.stringify(made)}`);
  return agent;
};

/** The same call in turns in two sessions that differ in nothing else: the differences. */
const durabilityExtra = async (name: string, url: string, fileCount: number, signal: AbortSignal): Promise<Row> => {
  const [durable, plain] = [await open(url, "call", fileCount), await open(url, "none", fileCount)];
  let count = 0;
  const change = async (agent: AgentClient): Promise<number> =>
    await timed(() => agent.use("write_file", { path: "d/faaaa", content: `${++count}`.padEnd(1_000, "x") }));
  const extra: number[] = [];
  for (let i = 0; i < WARM_UP + PAIRS; i++) {
    signal.throwIfAborted();
    const without = await change(plain);
    const difference = (await change(durable)) - without;
    if (i >= WARM_UP) extra.push(difference);
  }
  for (const agent of [durable, plain]) {
    await agent.endSession();
    await agent.close();
  }
  return timesRow(name, extra);
};

const restores = async (url: string, whenPoolIsFull: () => Promise<void>, signal: AbortSignal): Promise<Row> => {
  const agent = await open(url, "none", 1_000);
  const { checkpoint_id } = await agent.use("create_checkpoint");
  await agent.endSession();
  const times: number[] = [];
  for (let i = 0; i < RESTORES; i++) {
    signal.throwIfAborted();
    await whenPoolIsFull();
    times.push(await timed(() => agent.open({ from_checkpoint: checkpoint_id })));
    await agent.endSession();
  }
  await agent.close();
  return timesRow("create_session_restore", times);
};
