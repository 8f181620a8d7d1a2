import { createHash } from "node:crypto";

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1)) // by name alone: a value may be what no text can be made of
      .map(([key, inner]) => [key, sorted(inner)]),
  );
};

/**
 * The same for the same tool and arguments, whatever the order of their names. How long to wait is no part of it.
 * @throws {RangeError} for arguments that nest too deep, which no tool's schema takes
 */
export const hashArguments = (tool: string, args: Record<string, unknown>): string => {
  const { wait_ms: _, ...counted } = args;
  return createHash("sha256")
    .update(JSON.stringify([tool, sorted(counted)]))
    .digest("base64url");
};
