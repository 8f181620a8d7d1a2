// A reporter of node:test: each result as one line of JSON (see report-lines.ts).
import { isAbsolute, resolve } from "node:path";

const line = (value) => `${JSON.stringify(value)}\n`;
const text = (error) => String(error?.cause?.stack ?? error?.cause ?? error?.stack ?? error).slice(0, 8000);

export default async function* report(events) {
  const names = []; // of the tests that run, by depth
  const said = new Map(); // what files wrote to stderr, which is where node tells why one cannot be loaded
  for await (const { type, data } of events) {
    if (type === "test:stderr") {
      const from = resolve(data.file);
      said.set(from, ((said.get(from) ?? "") + data.message).slice(0, 8000));
    }
    if (type === "test:start") names[data.nesting] = data.name;
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name, nesting, details, file, skip, todo } = data;
    const isFile = nesting === 0 && (name === file || (isAbsolute(name) ? name : resolve(name)) === file);
    if (isFile) {
      // A file that ends badly without a failed test of its own could not be loaded, or broke off.
      if (type === "test:fail" && details.error?.failureType !== "subtestsFailed")
        yield line({ error: name, file, message: said.get(file) || text(details.error) });
      continue;
    }
    if (details.type === "suite" || details.error?.failureType === "subtestsFailed") continue;
    const status = skip !== undefined || todo !== undefined ? "skipped" : type === "test:pass" ? "passed" : "failed";
    const test = [...names.slice(0, nesting), name].join(" > ");
    const failed = status === "failed" ? { line: data.line, message: text(details.error) } : {};
    yield line({ test, status, file, name, ...failed });
  }
  yield line({ end: true });
}
