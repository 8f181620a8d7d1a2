import { hashArguments } from "../calls/arguments-hash.ts";

/** About as many characters of JSON: sorting and hashing megabytes would hold up everybody's calls. */
const MAX_HASHED = 65_536;

/**
 * For the audit: the hash of arguments that nobody has checked and that no call was made of. Nothing that a client sends may
 * end the process, or keep it long.
 * @returns "" for arguments that are large, or that nest too deep
 */
export const hashRefused = (tool: string, args: Record<string, unknown>): string => {
  if (!isSmall(args)) return "";
  try {
    return hashArguments(tool, args);
  } catch {
    return "";
  }
};

/** Looks at no more than what a small value holds. */
const isSmall = (value: unknown): boolean => {
  const waiting = [value];
  let left = MAX_HASHED;
  while (waiting.length > 0 && left >= 0) {
    const next = waiting.pop();
    left -= typeof next === "string" ? next.length + 2 : 1;
    if (Array.isArray(next)) {
      left -= next.length;
      if (left >= 0) for (const inner of next) waiting.push(inner);
    } else if (next !== null && typeof next === "object") {
      for (const name in next) {
        // a list of all its entries would cost three times as much
        left -= name.length + 3;
        if (left < 0) break;
        waiting.push((next as Record<string, unknown>)[name]);
      }
    }
  }
  return left >= 0;
};
