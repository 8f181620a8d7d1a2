import { type Logger, pino } from "pino";

/** JSON lines on stdout. Never pass arguments, output or secrets of a call. */
export const createLogger = (process: "coordinator" | "worker" | "drain", level: string): Logger =>
  pino({ level, base: { process }, timestamp: pino.stdTimeFunctions.isoTime });
