import { type Logger, pino } from "pino";
import { type FailureCode, ToolFailure } from "./failure.ts";

const LEVELS_BY_SIGNAL = ["debug", "trace"];

/** Failures of our own side. The messages of all others are for their caller, and may name what that one wrote. */
const OURS = new Set<FailureCode>(["SANDBOX_UNAVAILABLE", "STORE_UNAVAILABLE", "INTERNAL"]);

/** What is told of an error. Its other properties may hold what a user wrote: ioredis's have a command's arguments. */
export interface ToldError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: ToldError;
}

export const toldOf = (error: unknown): ToldError => {
  if (!(error instanceof Error)) return { type: typeof error, message: "not an error" };
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  if (error instanceof ToolFailure && !OURS.has(error.code)) return { type: name, message: error.code };
  return {
    type: name,
    message: error instanceof SyntaxError ? "malformed text" : message, // JSON.parse quotes what it read
    ...(typeof code === "string" ? { code } : {}),
    ...(stack ? { stack: framesOf(stack) } : {}),
    ...(cause instanceof Error ? { cause: toldOf(cause) } : {}),
  };
};

/** A stack begins with the message. */
const framesOf = (stack: string): string =>
  stack
    .split("\n")
    .filter((line) => /^ +at /.test(line))
    .join("\n");

/** JSON lines on stdout. Never pass arguments, output or secrets of a call. */
export const createLogger = (process: "coordinator" | "worker" | "drain", level: string): Logger =>
  pino({
    level,
    base: { process },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: toldOf },
  });

/** Each SIGUSR2 makes the log say more: debug, trace, then as it was configured again. Children made before keep their level. */
export const changeLevelBySignal = (log: Logger): void => {
  const levels = [log.level, ...LEVELS_BY_SIGNAL];
  let at = 0;
  process.on("SIGUSR2", () => {
    at = (at + 1) % levels.length;
    log.level = levels[at] ?? "info";
    log.info({ to: log.level }, "log level changed");
  });
};
