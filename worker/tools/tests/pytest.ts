import { findPythonTests, PYTHON } from "../project/python.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import type { Framework } from "./framework.ts";
import { readReportLines } from "./report-lines.ts";

const CONFIG = /\[tool\.pytest|\[tool:pytest\]|\[pytest\]|(^|["'\s])pytest\b/m;
const FILES_READ = 5;

export const pytest: Framework = {
  name: "pytest",
  reporter: "codegen_pytest.py",

  async isConfigured(project) {
    if (project.has("pytest.ini", "conftest.py")) return true;
    const configs = ["pyproject.toml", "setup.cfg", "tox.ini", "requirements.txt", "requirements-dev.txt"];
    return await project.says(CONFIG, ...configs);
  },

  async hasTests(project) {
    const tests = await findPythonTests(project);
    for (const test of tests.slice(0, FILES_READ)) {
      // Plain functions are pytest's; so is whatever imports it.
      if (/^\s*(import|from) pytest\b|^(async )?def test_/m.test((await project.read(test)) ?? "")) return true;
    }
    return (await project.find("**/conftest.py")).length > 0;
  },

  command(_project, { paths, filter, failed }) {
    const ids = failed?.map(({ id }) => id) ?? paths;
    const match = filter === undefined ? "" : ` -k ${shellQuote(filter)}`;
    return `${PYTHON}
"$py" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("pytest") is None)' ||
  { echo "pytest is not installed for $py" >&2; exit 127; }
export PYTHONPATH="$REPORTS\${PYTHONPATH:+:$PYTHONPATH}"
exec "$py" -m pytest --rootdir=. -p codegen_pytest${match} -- ${shellQuoteAll(ids)}`;
  },

  async report(folder) {
    return (await readReportLines(folder)) ?? { tests: [], errors: [], isComplete: false };
  },
};
