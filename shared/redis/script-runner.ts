import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

const read = (name: string): string => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), "utf8");

type Arguments = (string | number | Buffer)[];
type Command = (key: string, ...args: Arguments) => Promise<unknown>;

/**
 * Makes a script callable on a connection: EVALSHA, and EVAL where the server does not know it. Commands on one
 * connection run in the order they were issued, so callers may issue several without awaiting each.
 */
export const defineScript = (redis: Redis, name: string, options: { prelude?: string } = {}): Command => {
  const command = `cg_${name}`;
  const lua = (options.prelude ? `${read(options.prelude)}\n` : "") + read(name);
  redis.defineCommand(command, { numberOfKeys: 1, lua });
  const run = (redis as unknown as Record<string, Command>)[command];
  if (!run) throw new Error(`ioredis did not define "${command}"`);
  return run.bind(redis);
};
