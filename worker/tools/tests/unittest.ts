import { findPythonTests, PYTHON } from "../project/python.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import type { Framework } from "./framework.ts";
import { readReportLines } from "./report-lines.ts";

export const unittest: Framework = {
  name: "unittest",
  reporter: "codegen_unittest.py",

  async isConfigured() {
    return false;
  },

  async hasTests(project) {
    return (await findPythonTests(project)).length > 0;
  },

  command(_project, { paths, filter, failed }) {
    const names = failed?.map(({ id }) => id) ?? paths;
    const match = filter === undefined ? "" : `--match ${shellQuote(filter)} `;
    return `${PYTHON}\nexec "$py" "$REPORTS/codegen_unittest.py" ${match}${shellQuoteAll(names)}`;
  },

  async report(folder) {
    return (await readReportLines(folder)) ?? { tests: [], errors: [], isComplete: false };
  },
};
