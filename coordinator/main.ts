import { ConfigError } from "../shared/config.ts";
import { createLogger } from "../shared/log.ts";
import { runMain } from "../shared/run-main.ts";
import { parseConfig } from "./config.ts";
import { Coordinator } from "./coordinator.ts";

try {
  const config = parseConfig(process.env);
  const log = createLogger("coordinator", config.LOG_LEVEL);
  await runMain(new Coordinator(config, log), log);
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
