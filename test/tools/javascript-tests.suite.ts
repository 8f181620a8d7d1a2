import { expect } from "chai";
import { useCluster } from "../support/use-cluster.ts";
import { type TestProject, useProjects } from "../support/use-project.ts";

const MATH = "exports.add = (a, b) => a + b;\nexports.half = (a) => a * 2;\n";
const FIXED = MATH.replace("a * 2", "a / 2");

/** The same three tests in each runner's words: one passes, one fails, one is skipped. */
const tests = (head: string, equal: string, skipped: string): string => `${head}
describe("math", () => {
  it("adds", () => { ${equal.replace("X", "math.add(1, 2)").replace("Y", "3")} });
  it("halves (a number)", () => {
    ${equal.replace("X", "math.half(4)").replace("Y", "2")}
  });
  ${skipped}("comes later", () => {});
});
`;
const assertion = "assert.strictEqual(X, Y)";
const RUNNERS: Record<string, { files: Record<string, string>; test: string; id: string; line?: number }> = {
  mocha: {
    files: {
      "package.json": '{"scripts": {"test": "mocha"}}',
      "test/math.test.js": tests(
        'const assert = require("node:assert"); const math = require("../math");',
        assertion,
        "it.skip",
      ),
    },
    test: "test/math.test.js",
    id: "math halves (a number)",
  },
  jest: {
    files: {
      "package.json": '{"devDependencies": {"jest": "*"}}',
      "math.test.js": tests('const math = require("./math");', "expect(X).toBe(Y)", "it.skip"),
    },
    test: "math.test.js",
    id: "math.test.js::math halves (a number)",
    line: 5,
  },
  vitest: {
    files: {
      "package.json": '{"scripts": {"test": "vitest run"}}',
      "math.test.js": tests(
        'import { describe, expect, it } from "vitest"; import math from "./math.js";',
        "expect(X).toBe(Y)",
        "it.skip",
      ),
    },
    test: "math.test.js",
    id: "math.test.js::math halves (a number)",
    line: 5,
  },
  "node:test": {
    files: {
      "package.json": '{"scripts": {"test": "node --test"}}',
      "math.test.js": tests(
        'const { describe, it } = require("node:test"); const assert = require("node:assert"); const math = require("./math");',
        assertion,
        "it.skip",
      ),
    },
    test: "math.test.js",
    id: "math > halves (a number)",
    line: 4,
  },
};

/** Runs nowhere; jest takes no `import` here, the others both. */
const BROKEN = "require('./not-there.js');\n";

describe("run_tests for JavaScript", function () {
  this.timeout(600_000);
  const project = useProjects(useCluster());

  for (const [framework, { files, test, id, line }] of Object.entries(RUNNERS)) {
    it(`runs ${framework}, follows a fix, chooses, and tells what cannot be loaded`, async () => {
      const math = await project("node", { "math.js": MATH, ...files });
      const first = await math.done("run_tests");
      expect(first).to.include({ framework, status: "failed" });
      expect(first.summary).to.include({ total: 3, passed: 1, failed: 1, skipped: 1, errors: 0 });
      expect(first.failures).to.have.length(1);
      expect(first.failures[0]).to.include({ id, file: test, ...(line ? { line } : {}) });
      expect(first.failures[0]?.message).to.match(/\b8\b/).and.to.match(/\b2\b/);

      await math.write("math.js", FIXED);
      const fixed = await math.done("run_tests", { only_failed: true });
      expect(fixed).to.include({ status: "passed" });
      expect(fixed.summary).to.include({ passed: 1, failed: 0 });
      expect(fixed.delta).to.deep.equal({ newly_failing: [], fixed: [id] });

      const chosen = await math.done("run_tests", { filter: "adds" });
      expect(chosen.summary).to.include({ passed: 1, failed: 0 });
      await canBeLimited(math, test);

      await math.write(test.replace("math", "broken"), BROKEN);
      const broken = await math.done("run_tests");
      expect(broken).to.include({ status: "collection_error" });
      expect(broken.failures.map(({ message }) => message).join()).to.include("not-there");
    });
  }

  const canBeLimited = async (math: TestProject, test: string): Promise<void> => {
    await math.write(test.replace("math", "other"), "throw new Error('not to be loaded');\n");
    expect((await math.done("run_tests", { paths: [test] })).summary).to.include({ passed: 2, errors: 0 });
    await math.done("run_command", { command: `rm ${test.replace("math", "other")}` });
  };

  it("finds node:test by the tests alone, and runs TypeScript", async () => {
    const typed = await project("node", {
      "sum.test.ts":
        'import test from "node:test";\nconst one: number = 1;\ntest("sums", () => { if (one + 1 !== 2) throw one; });\n',
    });
    const run = await typed.done("run_tests");
    expect(run).to.include({ framework: "node:test", status: "passed" });
    expect(run.summary).to.include({ total: 1, passed: 1 });
  });

  it("tells of a runner that was killed what it knew", async () => {
    const slow = await project("node", {
      ".mocharc.json": "{}",
      "test/a.js":
        'it("is quick", () => {});\nit("is slow", () => { require("fs").writeFileSync("started", ""); for (;;); });\n',
    });
    const run = await slow.killedOnce("started");
    expect(run).to.include({ framework: "mocha", status: "killed" });
    expect(run.summary).to.include({ total: 1, passed: 1 });
  });
});
