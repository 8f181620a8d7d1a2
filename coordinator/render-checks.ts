type Structured = Record<string, unknown>;

const TEST_STATUS: Record<string, string> = {
  passed: "all passed",
  failed: "some failed",
  no_tests: "no tests ran",
  collection_error: "some tests could not be loaded or built",
  crashed: "the runner broke off",
  timed_out: "timed out and was killed",
  killed: "was killed",
};

const listOf = (value: unknown): Structured[] => (Array.isArray(value) ? (value as Structured[]) : []);
const place = ({ file, line, column }: Structured): string =>
  file ? `${file}${line ? `:${line}${column ? `:${column}` : ""}` : ""}` : "";
const names = (title: string, ids: unknown): string => {
  const list = listOf(ids);
  return list.length > 0 ? `\n${title}: ${list.join(", ")}` : "";
};

/** What a model reads of a test run. */
export const renderTests = (r: Structured): string => {
  const { total, passed, failed, skipped, errors, duration_ms: ms } = (r.summary ?? {}) as Record<string, number>;
  const delta = (r.delta ?? {}) as Structured;
  const counts = `${passed} passed, ${failed} failed, ${skipped} skipped of ${total}${errors ? `; ${errors} errors` : ""}`;
  const ran = r.summary ? `: ${counts} in ${((ms ?? 0) / 1000).toFixed(2)} s` : "";
  const failures = listOf(r.failures).map((f) => `\n\n--- ${f.id}  ${place(f)} ---\n${f.message ?? ""}`);
  const cut = r.truncated ? `\n(not all is shown; read_process("${r.process_id}") has the output)` : "";
  const output = r.output ? `\n--- output ---\n${r.output}` : "";
  const changes = names("newly failing", delta.newly_failing) + names("fixed", delta.fixed);
  return `${r.framework}: ${TEST_STATUS[String(r.status)] ?? r.status}${ran}${changes}${failures.join("")}${cut}${output}`;
};

/** What a model reads of linters and type checkers. */
export const renderChecks = (r: Structured): string => {
  const checks = listOf(r.checks).map((c) => `${c.name}: ${c.status}${c.message ? `\n${c.message}` : ""}`);
  const found = listOf(r.diagnostics).map(
    (d) => `${place(d)}  ${d.severity}  ${d.rule ? `${d.rule}  ` : ""}${d.message}`,
  );
  return [...checks, ...found, ...(r.truncated ? ["(more were left out)"] : [])].join("\n");
};
