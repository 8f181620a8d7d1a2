import { z } from "zod";
import { IMAGE_NAME, NETWORKS } from "../shared/catalog/index.ts";
import { CommonEnv, parseEnv } from "../shared/config.ts";
import { OWN_PROFILE } from "./sandbox/seccomp-profile.ts";

const httpUrl = z.url({ protocol: /^https?$/ });

// Durations in ms, sizes in MiB; the same names, explained, in compose/.env.example
const Env = CommonEnv.extend({
  BEAT_MS: z.coerce.number().int().min(100).default(3_000),
  /** Names everything of this installation on a Docker host; containers of other deployments are never touched. */
  DEPLOYMENT: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,40}$/)
    .default("default"),
  /** Sessions that this worker holds at most. */
  CAPACITY: z.coerce.number().int().min(1).max(1_000).default(64),
  /** Calls that one session may have open; must not be below the coordinators' MAX_LANE_DEPTH. */
  MAX_LANE_DEPTH: z.coerce.number().int().min(1).default(64),
  /** Containers kept started and waiting. */
  POOL_SIZE: z.coerce.number().int().min(0).max(100).default(4),
  /** The image of sessions that name none: python, node, polyglot, a name of SANDBOX_IMAGES, or a reference. */
  SANDBOX_IMAGE: z.string().min(1).default("python"),
  /** Images of one's own: `name=reference`, separated by commas. */
  SANDBOX_IMAGES: z
    .string()
    .default("")
    .transform((text) => text.split(",").flatMap((part) => (part.trim() ? [part.trim().split("=")] : [])))
    .pipe(z.array(z.tuple([z.string().regex(IMAGE_NAME, "must be name=reference"), z.string().min(1)]))),
  /** Writable space of a session's workspace and home, in memory. */
  WORKSPACE_MB: z.coerce.number().int().min(16).default(512),
  SANDBOX_PIDS: z.coerce.number().int().min(32).default(512),
  /** Sockets to the containers live here; in a container, mount the same host path at the same place. */
  RUN_DIR: z.string().default("/run/codegen-mcp"),
  /** Whether sessions may reach names of a list, and whether one may that says nothing of it. */
  ALLOW_EGRESS: z.stringbool().default(false),
  /** Which names (JSON, see docs/security.md); without it, git hosts. */
  EGRESS_FILE: z.string().min(1).optional(),
  /** Whether known shapes of secrets are masked in output before it is recorded. */
  MASK_SECRETS: z.stringbool().default(true),
  DEFAULT_NETWORK: z.enum(NETWORKS).default("none"),
  /** Where sessions with egress get their packages, through this worker's cache; without one, as pip and npm do here. */
  PIP_INDEX_URL: httpUrl.optional(),
  NPM_REGISTRY_URL: httpUrl.optional(),
  PACKAGE_CACHE_DIR: z.string().default("/var/lib/codegen-mcp/packages"),
  PACKAGE_CACHE_MB: z.coerce.number().int().min(16).default(4_096),
  /** The filter of system calls: this project's own, the engine's, or the path of one. */
  SECCOMP_PROFILE: z.string().min(1).default(OWN_PROFILE),
  /** What runs the containers, such as runsc or kata; must be known to the engine. Without it, the engine's default. */
  SANDBOX_RUNTIME: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
    .optional(),
  AGENT_TRANSPORT: z.enum(["auto", "socket", "attach"]).default("auto"),
  /** When a session's files are stored outside its container, unless it chose: before each result, when quiet, never. */
  DURABILITY: z.enum(["call", "idle", "none"]).default("idle"),
  /** How long nothing may have been called before the files of an `idle` session are stored. */
  CHECKPOINT_QUIET_MS: z.coerce.number().int().min(0).default(3_000),
  /** `file:///folder`, which all workers share where there are several hosts, or `s3://bucket/prefix`. */
  CHECKPOINT_STORE: z
    .string()
    .regex(/^(file:\/\/\/.|s3:\/\/[a-z0-9.-]+(\/|$))/, "must be file:///folder or s3://bucket/prefix")
    .default("file:///var/lib/codegen-mcp/checkpoints"),
  /** Of an S3-compatible store; without an endpoint, Amazon's. Who we are: AWS_ACCESS_KEY_ID and so on, or the host's role. */
  S3_ENDPOINT: httpUrl.optional(),
  S3_REGION: z.string().min(1).default("us-east-1"),
  /** How often objects are looked for that no checkpoint needs; younger ones than the grace are never deleted. */
  CHECKPOINT_SWEEP_MS: z.coerce.number().int().min(100).default(600_000),
  CHECKPOINT_GRACE_MS: z.coerce.number().int().min(1_000).default(3_600_000),
  /** How often this host is looked through for what crashed workers left. */
  SWEEP_MS: z.coerce.number().int().min(100).default(5_000),
  /** What neither a record nor a live worker claims is removed when it is older than this. */
  ORPHAN_AGE_MS: z.coerce.number().int().min(1_000).default(600_000),
  /**
   * Where a worker finds what its predecessor on this host handed over; must outlive the process. Workers of one host may
   * share it. Without it, every stop drains.
   */
  STATE_DIR: z.string().optional(),
  /** How long a stop lets running calls go on. */
  DRAIN_MS: z.coerce.number().int().min(0).default(10_000),
})
  .refine((env) => env.LEASE_MS >= 3 * env.BEAT_MS, { path: ["LEASE_MS"], error: "must hold three beats" })
  .refine((env) => env.ALLOW_EGRESS || env.DEFAULT_NETWORK === "none", {
    path: ["DEFAULT_NETWORK"],
    error: "needs ALLOW_EGRESS=true",
  });

export type WorkerConfig = z.infer<typeof Env>;
export const parseConfig = (env: NodeJS.ProcessEnv): WorkerConfig => parseEnv(Env, env);
