import { ConfigError } from "../shared/config.ts";
import { createLogger } from "../shared/log.ts";
import { runMain } from "../shared/run-main.ts";
import { startTracing } from "../shared/tracing/start-tracing.ts";
import { parseConfig } from "./config.ts";
import { Coordinator } from "./coordinator.ts";

try {
  const config = parseConfig(process.env);
  const log = createLogger("coordinator", config.LOG_LEVEL);
  const stopTracing = await startTracing(process.env, "coordinator", log);
  await runMain(new Coordinator(config, log), log, stopTracing);
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
