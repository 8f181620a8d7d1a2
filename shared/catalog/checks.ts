import { z } from "zod";
import { answer, defineTool, idempotencyKey, path, sessionId, waitMs } from "./tool.ts";

/** The test runners that run_tests knows, in the order in which it looks for them. */
export const TEST_FRAMEWORKS = [
  "vitest",
  "jest",
  "mocha",
  "node:test",
  "pytest",
  "unittest",
  "go test",
  "cargo test",
  "junit",
] as const;
export const CHECK_KINDS = ["lint", "typecheck"] as const;

/** Bounds that tools/list need not spend bytes on: they are explained where they are missed. */
const atMost = (count: number): [(list: unknown[]) => boolean, string] => [
  (list) => list.length <= count,
  `at most ${count}`,
];
const paths = z.array(path).refine(...atMost(100));

export const runTests = defineTool({
  name: "run_tests",
  title: "Run tests",
  description:
    "Run a project's tests: counts, failures with file, line and message, and what newly fails or is fixed since the last run. Failing is a normal result.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: false,
  idempotent: false,
  input: z.strictObject({
    framework: z.enum(TEST_FRAMEWORKS).optional().describe("Default: detected."),
    paths: paths.optional().describe("Test files or folders; junit: its reports."),
    filter: z.string().min(1).max(1_000).optional().describe("Names, as the runner's option takes them."),
    only_failed: z.boolean().default(false).describe("Only what failed in the last run."),
    command: z.string().min(1).max(10_000).optional().describe("Leaves JUnit XML; only junit."),
    wait_ms: waitMs,
    timeout_ms: z.int().min(1).max(1_800_000).default(120_000).describe("Kill it then."),
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    framework: z.string().optional(),
    summary: z.record(z.string(), z.number()).optional(),
    failures: z.array(z.unknown()).optional(),
    delta: z.record(z.string(), z.array(z.string())).optional(),
    truncated: z.boolean().optional(),
    output: z.string().optional(),
    process_id: z.string().optional(),
    effects_lost: z.boolean().optional(),
  }),
});

export const runChecks = defineTool({
  name: "run_checks",
  title: "Run checks",
  description:
    "Run the linters and type checkers that a project has (ruff or flake8, mypy, eslint, biome, tsc): diagnostics with file, line, severity and rule.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: false,
  idempotent: false,
  input: z.strictObject({
    kinds: z
      .array(z.enum(CHECK_KINDS))
      .refine((kinds) => kinds.length > 0, "name some, or leave it out")
      .refine(...atMost(CHECK_KINDS.length))
      .optional()
      .describe("Default: both."),
    paths: paths.optional().describe("Files or folders; tsc always checks all."),
    wait_ms: waitMs,
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    checks: z.array(z.unknown()).optional(),
    diagnostics: z.array(z.unknown()).optional(),
    truncated: z.boolean().optional(),
    process_id: z.string().optional(),
    effects_lost: z.boolean().optional(),
  }),
});
