import { expect } from "chai";
import { ReportError } from "../project/report-folder.ts";
import { parseBuild, parseCargoOutput } from "./cargo-test.ts";
import { anyOf } from "./framework.ts";
import { parseGoReport } from "./go-test.ts";
import { lineIn, parseJestReport } from "./jest-report.ts";
import { parseJunitXml } from "./junit-xml.ts";
import { parseReportLines } from "./report-lines.ts";
import { summarize } from "./summarize.ts";

const failureOf = async (run: () => Promise<unknown> | unknown): Promise<unknown> => {
  try {
    return await run();
  } catch (error) {
    return error;
  }
};
const lines = (...events: unknown[]): string[] => events.map((event) => JSON.stringify(event));

describe("lines of our own reporters", () => {
  it("may end in the middle, and then are not complete", () => {
    const report = parseReportLines([...lines({ test: "a", status: "passed" }), '{"test": "b", "sta']);
    expect(report).to.deep.include({ errors: [], isComplete: false });
    expect(report.tests.map(({ id }) => id)).to.deep.equal(["a"]);
  });

  it("count a test that was told twice once, as it was told last", () => {
    const told = lines(
      { test: "a", status: "passed" },
      { test: "a", status: "failed", message: "teardown" },
      { end: true },
    );
    const { tests, isComplete } = parseReportLines(told);
    expect(tests).to.have.length(1);
    expect(tests[0]).to.include({ status: "failed", message: "teardown" });
    expect(isComplete).to.equal(true);
  });

  it("are not complete when they were cut", () => {
    expect(parseReportLines(lines({ end: true }), true).isComplete).to.equal(false);
  });

  it("are ignored where they are something else", () => {
    const odd = lines(null, 1, [], { test: 1 }, { test: "a", status: "odd" }, { error: { a: 1 } }, { end: false });
    expect(parseReportLines(odd)).to.deep.equal({ tests: [], errors: [], isComplete: false });
  });
});

describe("JUnit XML", () => {
  const parse = (xml: string) => parseJunitXml(xml);

  it("tells cases, wherever they are nested", async () => {
    const tests = await parse(`<?xml version="1.0"?><testsuites><testsuite name="s"><testsuite>
      <testcase classname="A" name="a" file="a.py" line="3"/>
      <testcase classname="A" name="b"><failure message="1 &lt; 2"><![CDATA[at <b>]]> more</failure></testcase>
      <testcase name="c"><error/><system-out>not this</system-out></testcase>
      <testcase name="d"><skipped message="later"/></testcase></testsuite></testsuite></testsuites>`);
    expect(tests).to.deep.equal([
      { id: "A.a", status: "passed", file: "a.py", line: 3 },
      { id: "A.b", status: "failed", message: "1 < 2\nat <b>\n more" },
      { id: "c", status: "failed", message: "" },
      { id: "d", status: "skipped", message: "later" },
    ]);
  });

  it("expands no entity that a document brings along", async () => {
    const bomb = `<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><testcase name="&c;"/>`;
    expect(await failureOf(() => parse(bomb))).to.be.instanceOf(ReportError);
  });

  it("is refused when it is malformed, cut off or nested without end", async () => {
    for (const xml of ["<testcase", "<a><b></a>", "plain", "", "<a>".repeat(1_000)]) {
      const got = await failureOf(() => parse(xml));
      if (xml === "") expect(got).to.deep.equal([]);
      else expect(got, xml.slice(0, 20)).to.be.instanceOf(ReportError);
    }
  });

  it("keeps no more of a message than anyone reads", async () => {
    const [test] = await parse(`<testcase name="a"><failure>${"x".repeat(1_000_000)}</failure></testcase>`);
    expect(test?.message?.length).to.be.at.most(8_000);
  });
});

describe("the report of jest and vitest", () => {
  const shown = (path: string) => path.replace("/p/", "");
  it("tells a file that could not be loaded from a test that failed", () => {
    const report = parseJestReport(
      JSON.stringify({
        testResults: [
          { name: "/p/a.js", status: "failed", message: "cannot load", assertionResults: [] },
          {
            name: "/p/b.js",
            status: "failed",
            message: "",
            assertionResults: [
              {
                fullName: "x",
                status: "failed",
                failureMessages: ["Error\n    at /p/b.js:7:9"],
                location: { line: 2 },
              },
              { fullName: "y", status: "pending", failureMessages: [], location: null },
            ],
          },
        ],
      }),
      shown,
    );
    expect(report.errors).to.deep.equal([{ id: "a.js", file: "a.js", message: "cannot load" }]);
    expect(report.tests[0]).to.include({ id: "b.js::x", status: "failed", line: 7 });
    expect(report.tests[1]).to.include({ status: "skipped" });
  });

  it("is refused where it is something else", async () => {
    for (const text of ["", "{}", "[]", '{"testResults": [{}]}'])
      expect(await failureOf(() => parseJestReport(text, shown)), text).to.be.instanceOf(ReportError);
  });

  it("names a line only of the file that was asked for", () => {
    expect(lineIn("at /p/lib.js:1:1\nat /p/a.js:12:3", "/p/a.js")).to.equal(12);
    expect(lineIn("at /p/lib.js:1:1", "/p/a.js")).to.equal(undefined);
  });
});

describe("the report of go test", () => {
  const run = { isCut: false, stderr: "", module: "m" };
  const event = (Action: string, Test: string, Output?: string) => ({ Action, Package: "m/sub", Test, Output });

  it("knows builds that fail in newer releases by their events", () => {
    const report = parseGoReport(
      lines(
        { ImportPath: "m/sub", Action: "build-output", Output: "# m/sub\n" },
        { ImportPath: "m/sub", Action: "build-output", Output: "sub/a.go:3:1: undefined: x\n" },
        { Action: "output", Package: "m/sub", Output: "FAIL\tm/sub [build failed]\n" },
        { Action: "fail", Package: "m/sub", FailedBuild: "m/sub" },
      ),
      run,
    );
    expect(report.errors[0]).to.include({ id: "m/sub", file: "sub/a.go", line: 3 });
    expect(report.isComplete).to.equal(true);
  });

  it("gives a panic to the test that ran", () => {
    const report = parseGoReport(
      lines(
        event("run", "TestA"),
        event("output", "TestA", "panic: boom\n"),
        event("output", "TestA", "\ta_test.go:4 +0x1\n"),
        event("fail", "TestA"),
        { Action: "fail", Package: "m/sub" },
      ),
      run,
    );
    expect(report.errors).to.deep.equal([]);
    expect(report.tests[0]).to.include({ id: "m/sub::TestA", status: "failed", file: "sub/a_test.go", line: 4 });
  });

  it("blames a parent only when none of its subtests failed", () => {
    const report = parseGoReport(
      lines(
        event("pass", "TestA/x"),
        event("fail", "TestA"),
        event("fail", "TestB/y"),
        event("fail", "TestB"),
        event("pass", "TestC/z"),
        event("pass", "TestC"),
      ),
      run,
    );
    const told = report.tests.map(({ id, status }) => `${id.split("::")[1]} ${status}`);
    expect(told).to.have.members(["TestA/x passed", "TestA failed", "TestB/y failed", "TestC/z passed"]);
    expect(report.isComplete, "the package has not ended").to.equal(false);
  });
});

describe("the output of cargo test", () => {
  const NEW = `     Running unittests src/lib.rs (target/debug/deps/a-1)

running 2 tests
test tests::a ... ok
test tests::b - should panic ... FAILED

failures:

---- tests::b stdout ----
test tests::a ... FAILED
thread 'tests::b' panicked at src/lib.rs:12:9:
why

failures:
    tests::b

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests a

running 1 test
test src/lib.rs - f (line 3) ... ok

test result: ok. 1 passed; 0 failed`;

  it("is read target by target, and a test's own words are not taken for results", () => {
    const { tests, isComplete } = parseCargoOutput(NEW.split("\n"));
    expect(tests.map(({ id, status }) => `${id} ${status}`)).to.deep.equal([
      "src/lib.rs::tests::a passed",
      "src/lib.rs::tests::b failed",
      "doc a::src/lib.rs - f (line 3) passed",
    ]);
    expect(tests[1]).to.include({ file: "src/lib.rs", line: 12 });
    expect(isComplete).to.equal(true);
  });

  it("is not complete when a target did not end", () => {
    expect(parseCargoOutput(NEW.split("\n").slice(0, 6)).isComplete).to.equal(false);
    expect(parseCargoOutput([]).isComplete).to.equal(false);
  });

  it("brings the compiler's errors, not its summary of them", () => {
    const span = { file_name: "src/a.rs", line_start: 4, is_primary: true };
    const message = { level: "error", message: "no", rendered: "error: no", spans: [span] };
    const errors = parseBuild(
      lines(
        { reason: "compiler-message", message },
        { reason: "compiler-message", message: { ...message, level: "warning" } },
        { reason: "compiler-message", message: { level: "error", message: "aborting", spans: [] } },
        { reason: "build-finished", success: false },
      ),
    );
    expect(errors).to.deep.equal([{ id: "src/a.rs", file: "src/a.rs", line: 4, message: "error: no" }]);
  });
});

describe("a summary", () => {
  const end = { status: "exited", exitCode: 1, signal: null, durationMs: 5, outOfMemory: false, logBytes: 0 } as const;
  const many = Array.from({ length: 200 }, (_, i) => ({
    id: `t${i}`,
    status: "failed" as const,
    message: "m".repeat(9_000),
  }));

  it("is bounded however much fails", () => {
    const result = summarize({ tests: many, errors: [], isComplete: true }, { end, output: "" }, 30_000);
    expect(result).to.deep.include({ status: "failed", truncated: true });
    expect(result.summary).to.include({ total: 200, failed: 200 });
    expect(JSON.stringify(result).length).to.be.below(40_000);
  });

  it("says failed where every test passed and the runner did not", () => {
    const report = { tests: [{ id: "a", status: "passed" as const }], errors: [], isComplete: true };
    const result = summarize(report, { end, output: "coverage is too low" }, 30_000);
    expect(result).to.deep.include({ status: "failed", output: "coverage is too low" });
  });
});

describe("a choice of tests by name", () => {
  it("matches these names and no others", () => {
    const choice = new RegExp(anyOf(["a (b)", "c.d", "e/f [g]"]));
    for (const name of ["a (b)", "c.d", "e/f [g]"]) expect(choice.test(name), name).to.equal(true);
    for (const name of ["a b", "cxd", "xa (b)", "a (b)x"]) expect(choice.test(name), name).to.equal(false);
  });
});
