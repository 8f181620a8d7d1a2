import type { Redis } from "ioredis";
import { Counter, Gauge, type Registry } from "prom-client";
import { countCalls } from "./session/count-calls.ts";
import { SandboxUsage } from "./session/sandbox-usage.ts";
import type { SessionKeeper } from "./session/session-keeper.ts";

/** What the worker holds at the moment of a scrape. */
export interface WorkerSources {
  capacity: number;
  redis: Redis;
  keeper: SessionKeeper;
  pool: { readonly size: number; readonly warmCount: number; readonly startingCount: number };
  isDockerThere: () => boolean;
  sinceBeatMs: () => number;
}

/** Read when Prometheus scrapes, and at no other time. */
export const registerWorkerGauges = (registry: Registry, sources: WorkerSources): void => {
  const { capacity, redis, keeper, pool, isDockerThere, sinceBeatMs } = sources;
  const sessions = () => [...keeper.sessions()];
  const usage = new SandboxUsage(() => sessions().flatMap(({ container }) => container ?? []));
  const gauge = (name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  };
  const gauges = (
    name: string,
    help: string,
    read: () => Record<string, number> | Promise<Record<string, number> | undefined>,
  ): void => {
    new Gauge({
      name,
      help,
      labelNames: ["state"],
      registers: [registry],
      async collect() {
        this.reset();
        for (const [state, count] of Object.entries((await read()) ?? {})) this.set({ state }, count);
      },
    });
  };

  gauges("codegen_sessions", "Sessions that this worker holds, by state", () => {
    const { size, starting, closing } = keeper;
    return { starting, ready: Math.max(0, size - starting - closing), closing };
  });
  gauge("codegen_session_slots", "Sessions that this worker holds at most (CAPACITY)", () => capacity);
  gauges("codegen_calls", "Calls of this worker's sessions: queued in their lanes, or running here", () =>
    countCalls(redis, sessions()),
  );
  gauges("codegen_pool_sandboxes", "Containers of the pool: warm, or being started", () => ({
    warm: pool.warmCount,
    starting: pool.startingCount,
  }));
  gauge("codegen_pool_target_sandboxes", "Containers that the pool keeps warm (POOL_SIZE)", () => pool.size);
  gauge("codegen_docker_up", "1 while this worker can start containers, else 0", () => (isDockerThere() ? 1 : 0));
  gauge("codegen_beat_age_seconds", "Time since a beat got through to Redis; the lease is over at LEASE_MS", () => {
    const age = sinceBeatMs();
    return Number.isFinite(age) ? age / 1000 : undefined; // none yet
  });
  gauge("codegen_sandbox_memory_bytes", "Memory that sessions' containers use, their files included", async () => {
    return (await usage.look()).memoryBytes;
  });
  gauge("codegen_sandbox_memory_limit_bytes", "Memory that sessions' containers may use", async () => {
    return (await usage.look()).memoryLimitBytes;
  });
  new Counter({
    name: "codegen_sandbox_cpu_seconds_total",
    help: "Cpu time that sessions' containers used, as seen by scrapes: what one used after the last before its end is missing",
    registers: [registry],
    async collect() {
      const { cpuSeconds } = await usage.look();
      this.inc(cpuSeconds);
    },
  });
};
