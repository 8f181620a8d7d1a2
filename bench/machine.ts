import { cpus, loadavg, release, totalmem, type } from "node:os";
import type Docker from "dockerode";
import { Redis } from "ioredis";

/** What the numbers were measured on. Nothing that names the machine. */
export interface Machine {
  cores: number;
  cpu: string;
  memory_gb: number;
  kernel: string;
  docker: string;
  cgroups: string;
  storage: string;
  redis: string;
  node: string;
  /** Processes that wanted a core, on average over the minute before the run. */
  load: number;
}

export const describeMachine = async (docker: Docker, redisUrl: string): Promise<Machine> => {
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  const redis = new Redis(redisUrl);
  const server = await redis.info("server");
  redis.disconnect();
  const engine = await docker.info();
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? "unknown",
    memory_gb: Math.round(totalmem() / 1e9),
    kernel: `${type()} ${release()}`,
    docker: engine.ServerVersion,
    cgroups: `v${engine.CgroupVersion ?? "1"}`,
    storage: engine.Driver,
    redis: /^redis_version:(\S+)/m.exec(server)?.[1] ?? "unknown",
    node: process.versions.node,
    load,
  };
};
