import { localTool } from "../project/javascript.ts";
import type { Checker, Diagnostic } from "./checker.ts";

/** The compiler has no JSON: `file(line,column): severity TSnumber: message`, and indented lines that go on. */
const LINE = /^(?:(.+?)\((\d+),(\d+)\): )?(error|warning|message) (TS\d+): (.*)$/;

export const tsc: Checker = {
  name: "tsc",
  kind: "typecheck",
  endCodes: [0, 1, 2],

  async isConfigured(project) {
    return project.has("tsconfig.json");
  },

  command(project) {
    return `${localTool(project, "tsc")}
tsc --noEmit --pretty false`;
  },

  parse(report) {
    const found: Diagnostic[] = [];
    for (const text of report.split("\n")) {
      const [, file = "tsconfig.json", line = "1", column, severity, rule, message = ""] = LINE.exec(text) ?? [];
      const last = found.at(-1);
      if (rule) {
        const at = { file, line: Number(line), column: column === undefined ? undefined : Number(column) };
        found.push({ ...at, severity: severity === "error" ? "error" : "warning", rule, message });
      } else if (last && /^\s+\S/.test(text)) {
        last.message += `\n${text}`;
      }
    }
    return found;
  },
};
