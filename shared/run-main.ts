import type { Logger } from "pino";

/**
 * Starts a process's service and stops it at the first SIGTERM or SIGINT, exit code 0; a second signal exits at once.
 * An error that nobody caught ends the process with exit code 1: its state is unknown, and its records are not.
 */
export const runMain = async (
  service: { start(): Promise<void> | void; stop(signal: NodeJS.Signals): Promise<void> },
  log: Logger,
): Promise<void> => {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, "stopping");
    service.stop(signal).then(
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
