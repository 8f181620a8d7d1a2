import { z } from "zod";
import { parseRedisAddress } from "./redis/redis-address.ts";

/** What coordinator and worker both read from the environment. Durations in ms. */
export const CommonEnv = z.object({
  REDIS_URL: z
    .string()
    .refine(
      (url) => parseRedisAddress(url) !== undefined,
      "must be redis://…, redis+unix://…, redis+cluster://… or redis+sentinel://…",
    )
    .default("redis://127.0.0.1:6379"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  /** A worker that does not beat for this long is dead. */
  LEASE_MS: z.coerce.number().int().min(3_000).default(9_000),
  /** Where Prometheus scrapes; without a port nothing listens, 0 takes a free one. */
  METRICS_HOST: z.string().default("127.0.0.1"),
  METRICS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  /** Offers the fixture tools and resources of the MCP conformance suite: for tests. */
  CONFORMANCE_FIXTURES: z.stringbool().default(false),
});

/** Malformed settings, all of them at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** @throws {ConfigError} that lists every malformed variable */
export const parseEnv = <T extends z.ZodObject>(schema: T, env: NodeJS.ProcessEnv): z.infer<T> => {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(set);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new ConfigError(`These settings are malformed:\n${lines.join("\n")}`);
};
