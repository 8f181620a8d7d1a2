// A mocha reporter: each result as one line of JSON in the file that CODEGEN_REPORT names (see report-lines.ts), and a
// line for people on stdout.
const { writeSync, openSync } = require("node:fs");

module.exports = class {
  constructor(runner) {
    const report = openSync(process.env.CODEGEN_REPORT, "w");
    const tell = (line) => writeSync(report, `${JSON.stringify(line)}\n`);
    const told = (test, status, error) => {
      process.stdout.write(`${status === "passed" ? "ok" : status}: ${test.fullTitle()}\n`);
      const message = error && String(error.stack || error.message || error).slice(0, 8000);
      tell({ test: test.fullTitle(), status, file: test.file, message });
    };
    runner.on("pass", (test) => told(test, "passed"));
    runner.on("pending", (test) => told(test, "skipped"));
    runner.on("fail", (test, error) => told(test, "failed", error));
    runner.once("end", () => tell({ end: true }));
  }
};
