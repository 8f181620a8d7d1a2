import { configNames, localTool, speaksOf } from "../project/javascript.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import { anyOf, type Framework, filesOf } from "./framework.ts";
import { JEST_REPORT, readJestReport } from "./jest-report.ts";

/** The full name of a test, from an id. */
export const fullName = (id: string): string => id.slice(id.indexOf("::") + 2);

export const jest: Framework = {
  name: "jest",

  async isConfigured(project) {
    return await speaksOf(project, "jest", configNames("jest.config", "js", "ts", "mjs", "cjs", "json"));
  },

  command(project, { paths, filter, failed }) {
    const match = failed ? anyOf(failed.map(({ id }) => fullName(id))) : filter;
    const only = match === undefined ? "" : ` --testNamePattern ${shellQuote(match)}`;
    const files = failed ? filesOf(failed) : paths;
    // A path is a regular expression to jest, and a folder must be one.
    const patterns = files.map((file) => `/${file.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`);
    return `${localTool(project, "jest")}
exec jest --ci --json --outputFile="$REPORTS/${JEST_REPORT}" --testLocationInResults${only} ${shellQuoteAll(patterns)}`;
  },

  async report(folder, _printed, project) {
    return await readJestReport(folder, (path) => project.shown(path));
  },
};
