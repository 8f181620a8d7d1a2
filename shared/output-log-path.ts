import { posix } from "node:path";

/** Bytes that the log of one process holds at most: its first ones. The last 4 MiB of a longer output are in Redis. */
export const LOG_MAX_BYTES = 64 * 1024 * 1024;

/** Where the agent keeps the whole output of a process that wrote much, both streams as they came. */
export const outputLogPath = (workdir: string, processId: string): string =>
  posix.join(posix.dirname(workdir), ".cache/codegen-mcp", `${processId}.log`);
