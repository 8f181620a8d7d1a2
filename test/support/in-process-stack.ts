import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrivateRedis } from "../../compose/embedded/private-redis.ts";
import { parseConfig as parseCoordinatorConfig } from "../../coordinator/config.ts";
import { Coordinator } from "../../coordinator/coordinator.ts";
import { parseConfig as parseWorkerConfig } from "../../worker/config.ts";
import { Worker } from "../../worker/worker.ts";
import { silentLog } from "./silent-log.ts";
import { AGENT_FILES } from "./use-docker.ts";

/** The whole system inside this process, on a Redis of its own and the real Docker: thousands of calls in little time. */
export class InProcessStack {
  private constructor(
    private readonly folder: string,
    private readonly redis: PrivateRedis,
    readonly coordinator: Coordinator,
    readonly worker: Worker,
  ) {}

  static async start(): Promise<InProcessStack> {
    const folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    const redis = await PrivateRedis.start({ folder: join(folder, "redis"), settings: [] });
    const env = {
      ...{ REDIS_URL: redis.url, PORT: "0", RUN_DIR: join(folder, "run"), POOL_SIZE: "2", WORKSPACE_MB: "64" },
      ...{ DRAIN_MS: "1000", METRICS_PORT: "0", DEPLOYMENT: `test-${randomBytes(5).toString("hex")}` },
    };
    const coordinator = new Coordinator(parseCoordinatorConfig(env), silentLog);
    const worker = new Worker(parseWorkerConfig(env), silentLog, AGENT_FILES, () => {});
    await coordinator.start();
    worker.start();
    return new InProcessStack(folder, redis, coordinator, worker);
  }

  async stop(): Promise<void> {
    await this.coordinator.stop();
    await this.worker.stop();
    await this.redis.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
