import { z } from "zod";
import type { Toolset } from "./toolsets.ts";
import type { ObjectSchema } from "./wire-schema.ts";

/**
 * How a tool is served. `record`: any coordinator answers from Redis. `control`: written durably, then its session's
 * owner is woken; it overtakes the lane. `lane`: a BullMQ job in the order of its session. ARCHITECTURE.md says why.
 */
export type ToolClass = "record" | "control" | "lane";

/** One tool as agents see it and as both processes check it. */
export interface Tool<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  name: string;
  title: string;
  description: string;
  class: ToolClass;
  /** The smallest toolset that offers it. */
  toolset: Toolset;
  /** Whether it changes the session: such calls take an `idempotency_key` and run alone in their lane. */
  mutates: boolean;
  destructive: boolean;
  idempotent: boolean;
  /** It reaches beyond its session. */
  openWorld?: true;
  input: Input;
  /** A call of a lane tool that is a control all the same: it must not wait for what it is about. */
  overtakes?(args: Partial<z.output<Input>>): boolean;
  /** Every field is optional: a call that answers before its end lacks most. */
  output: Output;
  /** Its input schema on the wire, where `input` cannot say it. */
  schema?: ObjectSchema;
}

export const defineTool = <Input extends z.ZodObject, Output extends z.ZodObject>(
  tool: Tool<Input, Output>,
): Tool<Input, Output> => tool;

/** The longest and the usual time that a call may keep its client waiting; both SDK clients give up after 60 s. */
export const WAIT_MS = { default: 10_000, max: 50_000 } as const;
/** Bytes of output that a model is shown unless it asks for more. */
export const OUTPUT_BYTES = { default: 30_000, max: 1_000_000 } as const;
/** Content of one `write_file`, and of one raw `read_file`. */
export const MAX_FILE_BYTES = 8 * 1024 * 1024;

export const sessionId = z.string().max(64).optional().describe("Default: your own session.");
export const idempotencyKey = z.string().min(1).max(128).optional().describe("Repeats safely: same key, same result.");
export const waitMs = z
  .int()
  .min(0)
  .max(WAIT_MS.max)
  .default(WAIT_MS.default)
  .describe("Wait this long for the end; then it goes on.");
export const path = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => !text.includes("\0"), "must not contain a NUL character");
export const environment = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a shell variable name"), z.string().max(32_768))
  .refine((env) => Object.keys(env).length <= 100, "at most 100 variables")
  .refine((env) => !Object.values(env).some((value) => value.includes("\0")), "must not contain a NUL character");

/** Fields that any answer may carry: where a call that is not over can be followed, and news that is no failure. */
export const answer = {
  status: z.string().optional(),
  call_id: z.string().optional(),
  notice: z.string().optional(),
};
