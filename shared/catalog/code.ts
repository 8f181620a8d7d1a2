import { z } from "zod";
import { commandResult } from "./processes.ts";
import { defineTool, idempotencyKey, sessionId, waitMs } from "./tool.ts";

export const LANGUAGES = ["python", "javascript", "typescript", "bash"] as const;
const MAX_CHARACTERS = 8_000_000;

export const runCode = defineTool({
  name: "run_code",
  title: "Run code",
  description:
    "Run code in an interpreter that keeps its variables: output, the last expression's value, plots as images. Errors are normal results.",
  class: "lane",
  toolset: "core",
  mutates: true,
  destructive: true,
  idempotent: false,
  overtakes: ({ interrupt }) => interrupt === true,
  input: z
    .strictObject({
      language: z.enum(LANGUAGES).describe("The language."),
      code: z
        .string()
        .max(MAX_CHARACTERS)
        .refine((text) => !text.includes("\0"), "must not contain a NUL character")
        .optional()
        .describe("The code."),
      context: z
        .string()
        .regex(/^[\w.-]{1,64}$/, "must have 1 to 64 letters, digits, _ . or -")
        .default("main")
        .describe("Each has its own variables."),
      reset: z.boolean().default(false).describe("Empty it first."),
      interrupt: z.boolean().default(false).describe("Stop what runs, keep the state; no code."),
      wait_ms: waitMs,
      timeout_ms: z.int().min(1).max(1_800_000).optional().describe("Interrupt it then. Default 120000."),
      session_id: sessionId,
      idempotency_key: idempotencyKey,
    })
    .refine(({ code, reset, interrupt }) => code !== undefined || reset || interrupt, {
      path: ["code"],
      error: "is needed unless reset or interrupt is true",
    })
    .refine(({ code, reset, interrupt }) => !interrupt || (code === undefined && !reset), {
      path: ["interrupt"],
      error: "takes neither code nor reset with it",
    }),
  output: z.object({
    ...commandResult,
    result: z.string().optional(),
    images: z.array(z.unknown()).optional(),
  }),
});
