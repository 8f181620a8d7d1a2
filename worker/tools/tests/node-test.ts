import { localTool } from "../project/javascript.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import { anyOf, type Framework, filesOf } from "./framework.ts";
import { readReportLines } from "./report-lines.ts";

const GLOBS = ["**/*.test.js", "**/*.test.mjs", "**/*.test.cjs", "**/*.test.ts", "**/test/**/*.js", "**/test/**/*.mjs"];

export const nodeTest: Framework = {
  name: "node:test",
  reporter: "codegen-node-test.mjs",

  async isConfigured(project) {
    const { scripts } = await project.packageJson();
    return /(^|\s)--test(\s|$|=)/.test(scripts.test ?? "");
  },

  async hasTests(project) {
    for (const glob of GLOBS) {
      const [test] = await project.find(glob);
      if (test !== undefined && /["']node:test["']/.test((await project.read(test)) ?? "")) return true;
    }
    return false;
  },

  command(project, { paths, filter, failed }) {
    // A test is chosen by its own name: what its suites are called is matched differently from release to release.
    const own = failed?.map(({ id }) => id.slice(id.lastIndexOf(" > ") < 0 ? 0 : id.lastIndexOf(" > ") + 3));
    const match = own ? anyOf(own).replace("^", "") : filter;
    const only = match === undefined ? "" : ` --test-name-pattern=${shellQuote(match)}`;
    return `${localTool(project, "node")}
exec node --test --test-reporter=spec --test-reporter-destination=stdout \\
  --test-reporter="$REPORTS/codegen-node-test.mjs" --test-reporter-destination="$CODEGEN_REPORT"${only} \\
  ${shellQuoteAll(failed ? filesOf(failed) : paths)}`;
  },

  async report(folder) {
    return (await readReportLines(folder)) ?? { tests: [], errors: [], isComplete: false };
  },
};
