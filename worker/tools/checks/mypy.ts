import { z } from "zod";
import { parseJson } from "../project/parse-json.ts";
import { pythonTool } from "../project/python.ts";
import { shellQuoteAll } from "../project/shell-quote.ts";
import type { Checker, Diagnostic } from "./checker.ts";

const Line = z.object({
  file: z.string(),
  line: z.number(),
  column: z.number(),
  message: z.string(),
  code: z.string().nullish(),
  severity: z.string(),
});
/** `file:line:column: severity: message  [code]`, all that releases before 1.11 have. */
const TEXT = /^(.+?):(\d+):(?:(\d+):)? (error|warning|note): (.*?)(?: {2}\[([\w-]+)\])?$/;

export const mypy: Checker = {
  name: "mypy",
  kind: "typecheck",
  endCodes: [0, 1, 2], // 2: a syntax error, or that it could not begin

  async isConfigured(project) {
    if (project.has("mypy.ini", ".mypy.ini")) return true;
    return await project.says(/^\[(tool\.)?mypy\]/m, "pyproject.toml", "setup.cfg");
  },

  async command(project, paths) {
    const configs = ["mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg"];
    const namesFiles = await project.says(/^\s*(files|packages|modules)\s*=/m, ...configs);
    const targets = paths.length === 0 && !namesFiles ? ["."] : paths;
    return `${pythonTool("mypy")}
json=; mypy --help | grep -q -- '--output' && json=--output=json
mypy $json --show-column-numbers --show-error-codes --no-error-summary --no-pretty --hide-error-context \\
  --no-color-output --cache-dir="$HOME/.cache/mypy" ${shellQuoteAll(targets)}`;
  },

  parse(report) {
    return report.split("\n").flatMap((text) => fromJson(text) ?? fromText(text) ?? []);
  },
};

const fromJson = (text: string): Diagnostic | undefined => {
  const line = Line.safeParse(parseJson(text)).data;
  if (!line) return undefined;
  const { file, message, code, severity, column } = line;
  return {
    file,
    line: line.line,
    column: column + 1,
    severity: toSeverity(severity),
    rule: code ?? undefined,
    message,
  };
};

const fromText = (text: string): Diagnostic | undefined => {
  const [, file, line, column, severity = "", message, rule] = TEXT.exec(text) ?? [];
  if (file === undefined || message === undefined) return undefined;
  const at = { line: Number(line), column: column === undefined ? undefined : Number(column) };
  return { file, ...at, severity: toSeverity(severity), rule, message };
};

const toSeverity = (text: string): Diagnostic["severity"] =>
  text === "note" ? "info" : text === "warning" ? "warning" : "error";
