import { z } from "zod";
import { TOOLSETS } from "../shared/catalog/index.ts";
import { CommonEnv, parseEnv } from "../shared/config.ts";
import { isLoopback } from "./bind-address.ts";

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

/** As it stands in tokens: a slash at the end is part of an issuer's name. */
const issuerUrl = z.union([z.literal(""), z.url({ protocol: /^https?$/ })]).default("");

// Durations in ms; the same names, explained, in compose/.env.example
const Env = CommonEnv.extend({
  HOST: z.string().default("127.0.0.1"),
  /** Of whatever publishes this in front (a container's port, a proxy) when it is not `HOST` that others reach. */
  PUBLISHED_ADDRESS: z.string().default(""),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8_080),
  /** Host names, besides loopback ones, that requests may name in Host and Origin. */
  ALLOWED_HOSTS: names,
  /** File of the tokens that are let in, a line each; `scripts/token` writes them. */
  AUTH_TOKENS_FILE: z.string().default(""),
  /** Whose JWTs are let in, for which audience; its keys are found by discovery unless the key set's URL is given. */
  OIDC_ISSUER: issuerUrl,
  OIDC_AUDIENCE: z.string().default(""),
  OIDC_JWKS_URL: issuerUrl,
  /** The claim that says who the principal is. */
  OIDC_PRINCIPAL_CLAIM: z.string().min(1).default("sub"),
  /** Without tokens, everybody who reaches the address may run code: only by this name is that let happen beyond loopback. */
  ALLOW_ANONYMOUS_PUBLIC: z.stringbool().default(false),
  /** JSON: what principals may have. */
  QUOTAS_FILE: z.string().default(""),
  /** Certificate chain and key in PEM: with them the server speaks TLS. */
  TLS_CERT_FILE: z.string().default(""),
  TLS_KEY_FILE: z.string().default(""),
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
  /** `postgres://…` keeps the audit, and what sessions there were; without it the newest entries are kept in Redis. */
  DATABASE_URL: z.union([z.literal(""), z.url({ protocol: /^postgres(ql)?$/ })]).default(""),
  AUDIT_RETENTION_DAYS: z.coerce.number().int().min(1).default(90),
  /** Entries in Redis, some 400 bytes each: all there is without a database, and what one that is away may miss. */
  AUDIT_STREAM_MAX: z.coerce.number().int().min(100).default(50_000),
  /** How long a stop goes on as before, while `/healthz` and `/readyz` say so to what stands in front. */
  LEAVE_MS: z.coerce.number().int().min(0).default(0),
  /** How long a stop then waits for answers that are under way. */
  DRAIN_MS: z.coerce.number().int().min(0).default(50_000),
})
  .refine((env) => Boolean(env.OIDC_ISSUER) === Boolean(env.OIDC_AUDIENCE), {
    path: ["OIDC_AUDIENCE"],
    error: "must be set together with OIDC_ISSUER: an issuer's tokens for others must not open this server",
  })
  .refine((env) => env.OIDC_ISSUER || !env.OIDC_JWKS_URL, {
    path: ["OIDC_JWKS_URL"],
    error: "says nothing without OIDC_ISSUER",
  })
  .refine((env) => Boolean(env.TLS_CERT_FILE) === Boolean(env.TLS_KEY_FILE), {
    path: ["TLS_KEY_FILE"],
    error: "must be set together with TLS_CERT_FILE",
  })
  .refine(
    (env) =>
      env.AUTH_TOKENS_FILE ||
      env.OIDC_ISSUER ||
      env.ALLOW_ANONYMOUS_PUBLIC ||
      isLoopback(env.PUBLISHED_ADDRESS || env.HOST),
    {
      path: ["HOST"],
      error:
        "or PUBLISHED_ADDRESS is no loopback address, and nothing says who may come in: set AUTH_TOKENS_FILE or OIDC_ISSUER (docs/authentication.md), or HOST=127.0.0.1",
    },
  );

export type CoordinatorConfig = z.infer<typeof Env>;
export const parseConfig = (env: NodeJS.ProcessEnv): CoordinatorConfig => parseEnv(Env, env);
