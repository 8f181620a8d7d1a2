import { setTimeout as sleep } from "node:timers/promises";

const EVERY_MS = 50;

/**
 * Asks again and again until `ask` resolves with something truthy, and gives that. For what nobody announces; where an
 * event or an answer can be awaited, await that.
 * @throws {Error} naming `what`, with the last answer or error, when it is not so within `timeoutMs`
 */
export const eventually = async <T>(
  what: string,
  ask: () => Promise<T> | T,
  timeoutMs = 20_000,
): Promise<Exclude<T, undefined | false | null | "">> => {
  const until = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      last = await ask();
      if (last) return last as Exclude<T, undefined | false | null | "">;
    } catch (error) {
      last = error;
    }
    if (performance.now() > until)
      throw new Error(`It never came true that ${what}; last seen: ${last}`, { cause: last });
    await sleep(EVERY_MS);
  }
};
