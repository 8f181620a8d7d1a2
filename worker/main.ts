import { fileURLToPath } from "node:url";
import { ConfigError } from "../shared/config.ts";
import { createLogger } from "../shared/log.ts";
import { runMain } from "../shared/run-main.ts";
import { startTracing } from "../shared/tracing/start-tracing.ts";
import { parseConfig } from "./config.ts";
import { readAgentFiles } from "./sandbox/agent-files.ts";
import { Worker } from "./worker.ts";

try {
  const config = parseConfig(process.env);
  const log = createLogger("worker", config.LOG_LEVEL);
  const agentFiles = readAgentFiles(fileURLToPath(new URL("./agent", import.meta.url)));
  const drain = (): void => void process.kill(process.pid, "SIGINT");
  const stopTracing = await startTracing(process.env, "worker", log);
  await runMain(new Worker(config, log, agentFiles, drain), log, stopTracing);
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
