import { z } from "zod";
import { configNames, localTool } from "../project/javascript.ts";
import { shellQuoteAll } from "../project/shell-quote.ts";
import type { Checker } from "./checker.ts";
import { readJson } from "./json-report.ts";

const Report = z.array(
  z.object({
    filePath: z.string(),
    messages: z.array(
      z.object({
        ruleId: z.string().nullish(),
        severity: z.number(),
        message: z.string(),
        line: z.number().optional(),
        column: z.number().optional(),
      }),
    ),
  }),
);
const ERROR = 2;
const CONFIGS = [
  ...configNames("eslint.config", "js", "mjs", "cjs", "ts", "mts", "cts"),
  ".eslintrc",
  ...configNames(".eslintrc", "js", "cjs", "json", "yml", "yaml"),
];

export const eslint: Checker = {
  name: "eslint",
  kind: "lint",
  endCodes: [0, 1],

  async isConfigured(project) {
    return project.has(...CONFIGS) || (await project.packageJson()).keys.has("eslintConfig");
  },

  command(project, paths) {
    return `${localTool(project, "eslint")}
eslint --format json ${shellQuoteAll(paths.length > 0 ? paths : ["."])}`;
  },

  parse(report) {
    return readJson(Report, report).flatMap(({ filePath, messages }) =>
      messages.map(({ ruleId, severity, message, line = 1, column }) => ({
        file: filePath,
        line,
        column,
        severity: severity === ERROR ? "error" : "warning",
        rule: ruleId ?? undefined,
        message,
      })),
    );
  },
};
