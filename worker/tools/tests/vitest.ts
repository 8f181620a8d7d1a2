import { configNames, localTool, speaksOf } from "../project/javascript.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import { anyOf, type Framework, filesOf } from "./framework.ts";
import { fullName } from "./jest.ts";
import { JEST_REPORT, readJestReport } from "./jest-report.ts";

export const vitest: Framework = {
  name: "vitest",

  async isConfigured(project) {
    return await speaksOf(project, "vitest", configNames("vitest.config", "js", "ts", "mjs", "mts", "cjs", "cts"));
  },

  command(project, { paths, filter, failed }) {
    const match = failed ? anyOf(failed.map(({ id }) => fullName(id))) : filter;
    const only = match === undefined ? "" : ` --testNamePattern=${shellQuote(match)}`;
    const report = `--reporter=default --reporter=json --outputFile.json="$REPORTS/${JEST_REPORT}"`;
    return `${localTool(project, "vitest")}
exec vitest run ${report}${only} ${shellQuoteAll(failed ? filesOf(failed) : paths)}`;
  },

  async report(folder, _printed, project) {
    return await readJestReport(folder, (path) => project.shown(path));
  },
};
