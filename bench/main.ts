import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measureBalance } from "./balance-row.ts";
import { judge } from "./bars.ts";
import { Bench, ROW_NAMES } from "./bench.ts";
import { measureColdStack } from "./cold-stack.ts";
import { measureCrowd } from "./crowd-stack.ts";
import { measureRecovery } from "./recovery-stack.ts";
import { describe, table, verdictTable, writeJson, writeReadme } from "./report.ts";
import { measureWarmStack } from "./warm-stack.ts";

const README = fileURLToPath(new URL("../../bench/README.md", import.meta.url)); // we are built into dist/bench
const LIMIT_MS = 600_000;

const { values: options } = parseArgs({
  options: { json: { type: "string" }, only: { type: "string" }, write: { type: "boolean", default: false } },
});
const only = options.only?.split(",") ?? ROW_NAMES;
const unknown = only.filter((name) => !ROW_NAMES.includes(name));
if (unknown.length > 0) fail(`There is no row ${unknown.join(", ")}. The rows are: ${ROW_NAMES.join(", ")}`);
if (options.write && options.only) fail("--write puts a whole table into the README; it takes no --only");

const abort = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => abort.abort(new Error(signal)));
const limit = setTimeout(() => abort.abort(new Error(`the run took more than ${LIMIT_MS / 1000} s`)), LIMIT_MS);

try {
  const bench = new Bench(new Set(only), abort.signal, (text) => console.error(`▶ ${text}`));
  await measureWarmStack(bench);
  await measureColdStack(bench);
  await measureBalance(bench);
  await measureCrowd(bench);
  await measureRecovery(bench);
  const report = bench.report();
  const verdicts = judge(report.rows);
  console.log(`\n${describe(report.machine)}\n\n${table(report.rows)}\n\n${verdictTable(verdicts)}`);
  if (options.json) await writeJson(options.json, report);
  if (options.write) await writeReadme(README, report, verdicts);
} catch (error) {
  console.error("\nThe benchmark did not come to its end:", error);
  process.exitCode = 1;
} finally {
  clearTimeout(limit);
}

function fail(text: string): never {
  console.error(text);
  process.exit(2);
}
