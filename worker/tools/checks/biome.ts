import { z } from "zod";
import { localTool } from "../project/javascript.ts";
import { shellQuoteAll } from "../project/shell-quote.ts";
import type { Checker, Diagnostic } from "./checker.ts";
import { readJson } from "./json-report.ts";

const Position = z.object({ line: z.number(), column: z.number() });
const Report = z.object({
  diagnostics: z.array(
    z.object({
      severity: z.string(),
      category: z.string().nullish(),
      message: z.unknown(),
      description: z.string().nullish(),
      // Biome 1 has {file} and a span of bytes, which says no line.
      location: z.object({
        path: z.union([z.string(), z.object({ file: z.string() })]).nullish(),
        start: Position.nullish(),
      }),
    }),
  ),
});

export const biome: Checker = {
  name: "biome",
  kind: "lint",
  endCodes: [0, 1],

  async isConfigured(project) {
    return project.has("biome.json", "biome.jsonc");
  },

  command(project, paths) {
    return `${localTool(project, "biome")}
biome lint --reporter=json --max-diagnostics=1000 ${shellQuoteAll(paths)}`;
  },

  parse(report) {
    return readJson(Report, report).diagnostics.map(({ severity, category, message, description, location }) => ({
      file: typeof location.path === "string" ? location.path : (location.path?.file ?? "biome.json"),
      line: location.start?.line ?? 1,
      column: location.start?.column,
      severity: toSeverity(severity),
      rule: category ?? undefined,
      message: typeof message === "string" ? message : (description ?? ""),
    }));
  },
};

const toSeverity = (text: string): Diagnostic["severity"] =>
  text === "error" || text === "fatal" ? "error" : text === "warning" ? "warning" : "info";
