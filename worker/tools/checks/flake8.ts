import { pythonTool } from "../project/python.ts";
import { shellQuoteAll } from "../project/shell-quote.ts";
import type { Checker } from "./checker.ts";

/** Its format is the caller's choice: fields between tabs, the text last. */
const FORMAT = "%(path)s\t%(row)d\t%(col)d\t%(code)s\t%(text)s";
/** Code that cannot work: syntax errors and pyflakes. */
const ERRORS = /^(E9|F)/;

export const flake8: Checker = {
  name: "flake8",
  kind: "lint",
  endCodes: [0, 1],

  async isConfigured(project) {
    return project.has(".flake8") || (await project.says(/^\[flake8\]/m, "setup.cfg", "tox.ini"));
  },

  command(_project, paths) {
    return `${pythonTool("flake8")}
flake8 --format='${FORMAT}' --extend-exclude=node_modules,.venv,venv ${shellQuoteAll(paths)}`;
  },

  parse(report) {
    return report.split("\n").flatMap((text) => {
      const [file, line, column, rule, message] = text.split("\t");
      if (!file || !rule || message === undefined) return [];
      const severity = ERRORS.test(rule) ? "error" : "warning";
      return [{ file, line: Number(line), column: Number(column), severity, rule, message }];
    });
  },
};
