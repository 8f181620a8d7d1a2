import { z } from "zod";
import { TOOLSETS } from "../shared/catalog/index.ts";
import { CommonEnv, parseEnv } from "../shared/config.ts";

const names = z
  .string()
  .default("")
  .transform((text) =>
    text
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean),
  );

const url = z
  .union([z.literal(""), z.url({ protocol: /^https?$/ })])
  .default("")
  .transform((text) => text.replace(/\/$/, ""));

// Durations in ms; the same names, explained, in compose/.env.example
const Env = CommonEnv.extend({
  HOST: z.string().default("127.0.0.1"),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8_080),
  /** Host names, besides loopback ones, that requests may name in Host and Origin. */
  ALLOWED_HOSTS: names,
  /** Offered to clients whose URL has no `toolset`. */
  TOOLSETS: names.pipe(z.array(z.enum(TOOLSETS))),
  MAX_BODY_BYTES: z.coerce
    .number()
    .int()
    .min(65_536)
    .default(16 * 1024 * 1024),
  /** Calls that one session may hold, waiting and running. */
  MAX_LANE_DEPTH: z.coerce.number().int().min(1).default(64),
  /** Requests of one principal that one replica answers at a time; kills and closes come on top. */
  MAX_PRINCIPAL_DEPTH: z.coerce.number().int().min(1).default(1_000),
  /** Sessions that may wait for a worker, and for how long. */
  MAX_WAITING_SESSIONS: z.coerce.number().int().min(1).default(200),
  PLACEMENT_TIMEOUT_MS: z.coerce.number().int().min(1_000).default(45_000),
  /** A client of the 2026 protocol that left has this long to repeat a call with the same idempotency key. */
  REATTACH_MS: z.coerce.number().int().min(0).default(10_000),
  /** How clients, and how workers, reach this replica; "" for the address it listens on. Signed URLs begin with the former. */
  PUBLIC_URL: url,
  INTERNAL_URL: url,
  /** How long a signed URL of a file is good, and the most that one upload may bring. */
  ARTIFACT_URL_TTL_MS: z.coerce.number().int().min(1_000).default(900_000),
  MAX_ARTIFACT_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(1024 * 1024 * 1024),
  /** How long a stop waits for answers that are under way. */
  DRAIN_MS: z.coerce.number().int().min(0).default(50_000),
});

export type CoordinatorConfig = z.infer<typeof Env>;
export const parseConfig = (env: NodeJS.ProcessEnv): CoordinatorConfig => parseEnv(Env, env);
