import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { pino } from "pino";
import { PrivateRedis } from "../../compose/embedded/private-redis.ts";
import { closeRedis, createRedis, type RedisRole, whenReady } from "../../shared/redis/connect.ts";

export const silentLog = pino({ level: "silent" });

/** A private redis-server for the tests of one `describe`, emptied after each of them. */
export const useRedis = (settings: string[] = []) => {
  let server: PrivateRedis | undefined;
  let redis: Redis | undefined;
  let folder = "";
  const opened: Redis[] = [];
  const connect = async (role: RedisRole = "patient"): Promise<Redis> => {
    const connection = createRedis(server?.url ?? "", role, silentLog);
    opened.push(connection);
    await whenReady(connection);
    return connection;
  };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-redis-"));
    server = await PrivateRedis.start({ folder, settings });
    redis = await connect();
  });
  afterEach(async () => {
    await redis?.flushall();
  });
  after(async () => {
    await Promise.all(opened.map(closeRedis));
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get redis(): Redis {
      return redis as Redis;
    },
    get server(): PrivateRedis {
      return server as PrivateRedis;
    },
    connect,
  };
};
