import { z } from "zod";
import { pythonTool } from "../project/python.ts";
import { shellQuoteAll } from "../project/shell-quote.ts";
import type { Checker } from "./checker.ts";
import { readJson } from "./json-report.ts";

const Report = z.array(
  z.object({
    filename: z.string(),
    code: z.string().nullish(), // none for a syntax error of older releases
    message: z.string(),
    location: z.object({ row: z.number(), column: z.number() }),
  }),
);

export const ruff: Checker = {
  name: "ruff",
  kind: "lint",
  endCodes: [0, 1],

  async isConfigured(project) {
    return project.has("ruff.toml", ".ruff.toml") || (await project.says(/^\[tool\.ruff/m, "pyproject.toml"));
  },

  command(_project, paths) {
    return `${pythonTool("ruff")}
ruff check --output-format json --no-cache ${shellQuoteAll(paths)}`;
  },

  parse(report) {
    return readJson(Report, report).map(({ filename, code, message, location }) => ({
      file: filename,
      line: location.row,
      column: location.column,
      severity: "error",
      rule: code ?? undefined,
      message,
    }));
  },
};
