import type { Logger } from "pino";
import { changeLevelBySignal } from "./log.ts";

/**
 * Starts a process's service and stops it at the first SIGTERM or SIGINT, exit code 0; a second signal exits at once.
 * An error that nobody caught ends the process with exit code 1: its state is unknown, and its records are not.
 */
export const runMain = async (
  service: { start(): Promise<void> | void; stop(signal: NodeJS.Signals): Promise<void> },
  log: Logger,
  /** Runs when the service stopped. */
  stopTracing: () => Promise<void>,
): Promise<void> => {
  changeLevelBySignal(log);
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, "stopping");
    const stopped = service.stop(signal).finally(stopTracing);
    stopped.then(
      () => process.exit(0),
      (err: unknown) => {
        log.error({ err }, "stop failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("uncaughtException", (err) => {
    log.fatal({ err }, "uncaught error");
    process.exit(1);
  });
  await service.start();
};
