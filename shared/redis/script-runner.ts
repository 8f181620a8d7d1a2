import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

const read = (name: string): string => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), "utf8");

type Arguments = (string | number | Buffer)[];
type Command = (key: string, ...args: Arguments) => Promise<unknown>;

/**
 * Has Redis send a command's messages before its answer. It serves last who was first to get something in a turn of its
 * loop: that is the caller, when the packet with the command begins with a ping.
 */
const messagesFirst =
  (redis: Redis, run: Command): Command =>
  async (key, ...args) => {
    const { stream } = redis; // a cluster has many, and a connection that is away none
    if (!stream) return await run(key, ...args);
    stream.cork();
    redis.ping().catch(() => {}); // what is wrong says the command too
    const answer = run(key, ...args);
    stream.uncork();
    return await answer;
  };

/**
 * Makes a script callable on a connection: EVALSHA, and EVAL where the server does not know it. Commands on one
 * connection run in the order they were issued, so callers may issue several without awaiting each.
 */
export const defineScript = (
  redis: Redis,
  name: string,
  options: { prelude?: string; messagesFirst?: boolean } = {},
): Command => {
  const command = `cg_${name}`;
  const lua = (options.prelude ? `${read(options.prelude)}\n` : "") + read(name);
  redis.defineCommand(command, { numberOfKeys: 1, lua });
  const run = (redis as unknown as Record<string, Command>)[command];
  if (!run) throw new Error(`ioredis did not define "${command}"`);
  return options.messagesFirst ? messagesFirst(redis, run.bind(redis)) : run.bind(redis);
};
