import { z } from "zod";
import { answer, defineTool, idempotencyKey, sessionId, waitMs } from "./tool.ts";

export const PACKAGE_MANAGERS = ["auto", "pip", "npm"] as const;

export const installPackages = defineTool({
  name: "install_packages",
  title: "Install packages",
  description:
    "Install Python or npm packages in the session; it needs network egress. Each package's version, or why it failed.",
  class: "lane",
  toolset: "full",
  mutates: true,
  destructive: false,
  idempotent: false,
  openWorld: true,
  input: z.strictObject({
    packages: z
      .array(z.string().min(1).max(200))
      .refine((list) => list.length > 0 && list.length <= 50, "name 1 to 50")
      .describe("Names with versions, such as six==1.16.0 or left-pad@1.3.0; no options, paths or URLs."),
    manager: z.enum(PACKAGE_MANAGERS).default("auto").describe("auto: by the names, then the project's files."),
    wait_ms: waitMs,
    session_id: sessionId,
    idempotency_key: idempotencyKey,
  }),
  output: z.object({
    ...answer,
    manager: z.string().optional(),
    installed: z.array(z.unknown()).optional(),
    failed: z.array(z.unknown()).optional(),
    process_id: z.string().optional(),
    effects_lost: z.boolean().optional(),
  }),
});
