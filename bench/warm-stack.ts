import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import type { EmbeddedStack } from "../compose/embedded/embedded-stack.ts";
import type { SessionId } from "../shared/ids.ts";
import { keys } from "../shared/redis/keys.ts";
import { AgentClient, openAgents } from "./agent-client.ts";
import { type Bench, labelOf } from "./bench.ts";
import { callProbes } from "./call-rows.ts";
import { cpuPerCall } from "./cpu-rows.ts";
import { EngineProbes, whenRunning } from "./engine-rows.ts";
import { callUntil, residentMb } from "./memory-rows.ts";
import { callsPerSecond, parallelSleep } from "./parallel-rows.ts";
import { QueueProbes } from "./queue-rows.ts";
import { valueRow } from "./sampling.ts";
import { warmCreation } from "./session-rows.ts";

const QUICK = { rounds: 20, perRound: 10, warmUp: 20 };
const CREATING = { rounds: 8, perRound: 5, warmUp: 3 };
const POOL_SIZE = 4;
/** A container runs a little before its agent has dialled the worker. */
const AGENT_START_MS = 250;
const WARM_UP_CALLS = 5_000;
const AGENTS = 32;
/** As many of them call at once. */
const CURVE = [1, 2, 4, 8, 16, AGENTS];
const CPU_ROWS = ["coordinator_cpu", "worker_cpu", "redis_cpu"];
const CALLS = 10_000;

/** One coordinator and one worker with a pool: single calls, new sessions, many calls at once, memory. */
export const measureWarmStack = async (bench: Bench): Promise<void> => {
  await bench.withStack("With a pool", { env: { POOL_SIZE: String(POOL_SIZE) } }, async (stack, folder) => {
    const whenPoolIsFull = async (): Promise<void> => {
      await whenRunning(bench.docker, labelOf(stack), POOL_SIZE + 1, bench.signal); // and the agent's session
      await sleep(AGENT_START_MS);
    };
    const agent = await AgentClient.connect(stack.url);
    const container = await containerOf(stack, await agent.open());
    await agent.run("true");
    await whenPoolIsFull();
    bench.add(valueRow("coordinator_memory", await residentMb(stack.coordinators[0]!.pid!), "MB"));
    bench.add(valueRow("worker_memory", await residentMb(stack.workers[0]!.pid!), "MB"));

    bench.say("warming up");
    await warmUp(agent);
    const empty = join(folder, "empty");
    await mkdir(empty);
    const engine = new EngineProbes(bench.docker, container, empty);
    const queue = await QueueProbes.start(stack.redis.url);
    try {
      const below = [engine.execTrue(), queue.listRoundTrip(), await queue.bullmqRoundTrip()];
      await bench.sample([...below, ...callProbes(agent)], QUICK);
    } finally {
      await queue.stop();
    }
    try {
      const another = await AgentClient.connect(stack.url);
      await bench.sample([await engine.createAndStart(), warmCreation(another, whenPoolIsFull)], CREATING);
      await another.close();
    } finally {
      await engine.stop();
    }
    await measureManyCalls(bench, stack);
    await agent.close();
  });
};

/** Servers and clients run for days: what is measured is compiled code. V8 is done with it after about 3,000 calls. */
const warmUp = async (agent: AgentClient): Promise<void> => {
  for (let i = 0; i < WARM_UP_CALLS; i++) await agent.run("true");
};

const measureManyCalls = async (bench: Bench, stack: EmbeddedStack): Promise<void> => {
  const curve = CURVE.filter((count) => bench.wants(`calls_${count}`));
  if (curve.length === 0 && !bench.wants("parallel_sleep_8", ...CPU_ROWS, "coordinator_memory_10k")) return;
  bench.say(`${AGENTS} sessions for parallel calls`);
  const agents = await openAgents(stack.url, AGENTS);
  const eight = agents.slice(0, 8);
  await whenRunning(bench.docker, labelOf(stack), POOL_SIZE + 1 + AGENTS, bench.signal);
  if (bench.wants("parallel_sleep_8")) bench.add(await parallelSleep(eight, bench.signal));
  for (const count of curve) bench.add(await callsPerSecond(agents.slice(0, count), bench.signal));
  if (bench.wants(...CPU_ROWS))
    bench.add(...(await cpuPerCall(stack, eight, bench.signal)).filter(({ name }) => bench.wants(name)));
  if (bench.wants("coordinator_memory_10k")) {
    bench.say(`calls until the coordinator has answered ${CALLS}`);
    await callUntil(stack.metricsUrl(stack.coordinators[0]!), CALLS, eight, bench.signal);
    bench.add(valueRow("coordinator_memory_10k", await residentMb(stack.coordinators[0]!.pid!), "MB"));
  }
  await Promise.all(agents.map((agent) => agent.close()));
};

const containerOf = async (stack: EmbeddedStack, sid: string): Promise<string> => {
  const redis = new Redis(stack.redis.url);
  const container = await redis.hget(keys.session(sid as SessionId), "container");
  redis.disconnect();
  if (!container) throw new Error(`session ${sid} has no container`);
  return container;
};
