import { readFileSync } from "node:fs";
import { ConfigError } from "../shared/config.ts";
import { createLogger } from "../shared/log.ts";
import { runMain } from "../shared/run-main.ts";
import { parseConfig } from "./config.ts";
import { Worker } from "./worker.ts";

try {
  const config = parseConfig(process.env);
  const log = createLogger("worker", config.LOG_LEVEL);
  const agentBundle = readFileSync(new URL("./agent/agent.cjs", import.meta.url));
  const drain = (): void => void process.kill(process.pid, "SIGINT");
  await runMain(new Worker(config, log, agentBundle, drain), log);
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
