import { configNames, localTool, speaksOf } from "../project/javascript.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import { anyOf, type Framework, filesOf } from "./framework.ts";
import { readReportLines } from "./report-lines.ts";

export const mocha: Framework = {
  name: "mocha",
  reporter: "codegen-mocha.cjs",

  async isConfigured(project) {
    return await speaksOf(project, "mocha", configNames(".mocharc", "js", "cjs", "json", "jsonc", "yaml", "yml"));
  },

  command(project, { paths, filter, failed }) {
    const match = failed ? anyOf(failed.map(({ id }) => id)) : filter;
    const grep = match === undefined ? "" : ` --grep ${shellQuote(match)}`;
    const files = failed ? filesOf(failed) : paths;
    return `${localTool(project, "mocha")}
exec mocha --reporter "$REPORTS/codegen-mocha.cjs"${grep} ${shellQuoteAll(files)}`;
  },

  /** Mocha loads every file before it makes the reporter: without one, a file could not be loaded. */
  async report(folder, { output }) {
    const report = await readReportLines(folder);
    return report ?? { tests: [], errors: [{ id: "mocha", message: output }], isComplete: false };
  },
};
