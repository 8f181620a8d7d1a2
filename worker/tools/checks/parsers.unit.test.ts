import { expect } from "chai";
import { ReportError } from "../project/report-folder.ts";
import { biome } from "./biome.ts";
import { checkers } from "./checkers.ts";
import { eslint } from "./eslint.ts";
import { flake8 } from "./flake8.ts";
import { mypy } from "./mypy.ts";
import { ruff } from "./ruff.ts";
import { tsc } from "./tsc.ts";

describe("reports of checkers", () => {
  it("of ruff 0.17, as it wrote it", () => {
    const report = `[{"cell":null,"code":"F401","end_location":{"column":10,"row":1},"filename":"/w/c.py","fix":null,
      "location":{"column":8,"row":1},"message":"\`os\` imported but unused","noqa_row":1,"url":"https://docs.astral.sh"},
      {"cell":null,"code":"invalid-syntax","end_location":{"column":1,"row":3},"filename":"/w/b.py","fix":null,
      "location":{"column":6,"row":2},"message":"unexpected EOF while parsing","noqa_row":null,"url":null}]`;
    expect(ruff.parse(report)).to.deep.equal([
      { file: "/w/c.py", line: 1, column: 8, severity: "error", rule: "F401", message: "`os` imported but unused" },
      {
        file: "/w/b.py",
        line: 2,
        column: 6,
        severity: "error",
        rule: "invalid-syntax",
        message: "unexpected EOF while parsing",
      },
    ]);
  });

  it("of mypy, as JSON and as older releases have it", () => {
    const json = {
      file: "a.py",
      line: 5,
      column: 11,
      message: "bad",
      hint: null,
      code: "return-value",
      severity: "error",
    };
    const same = { file: "a.py", line: 5, column: 12, severity: "error", rule: "return-value", message: "bad" };
    expect(mypy.parse(`${JSON.stringify(json)}\n`)).to.deep.equal([same]);
    expect(mypy.parse("a.py:5:12: error: bad  [return-value]\nFound nothing else\n")).to.deep.equal([same]);
    expect(mypy.parse("b.py:2: note: see this")[0]).to.include({ severity: "info", line: 2, column: undefined });
  });

  it("of tsc, with lines that go on and errors of no file", () => {
    const report = "a.ts(1,7): error TS2322: Type 'x'.\n  Not this.\nerror TS18003: No inputs were found.\n";
    expect(tsc.parse(report)).to.deep.equal([
      { file: "a.ts", line: 1, column: 7, severity: "error", rule: "TS2322", message: "Type 'x'.\n  Not this." },
      {
        file: "tsconfig.json",
        line: 1,
        column: undefined,
        severity: "error",
        rule: "TS18003",
        message: "No inputs were found.",
      },
    ]);
  });

  it("of biome 1, which says no line", () => {
    const location = { path: { file: "a.js" }, span: [3, 5], sourceCode: null };
    const report = {
      diagnostics: [{ severity: "warning", category: "lint/x", message: [], description: "why", location }],
    };
    const [found] = biome.parse(JSON.stringify(report));
    expect(found).to.include({ file: "a.js", line: 1, severity: "warning", rule: "lint/x", message: "why" });
  });

  it("of flake8, whatever the text holds", () => {
    const [found] = flake8.parse("a\tb\n./a.py\t3\t1\tE501\tline: too long\n");
    expect(found).to.include({ file: "./a.py", line: 3, severity: "warning", message: "line: too long" });
  });

  it("of eslint for a file that cannot be parsed", () => {
    const messages = [{ ruleId: null, fatal: true, severity: 2, message: "Parsing error" }];
    const [found] = eslint.parse(JSON.stringify([{ filePath: "/w/a.js", messages }]));
    expect(found).to.include({ file: "/w/a.js", line: 1, severity: "error", rule: undefined });
  });

  it("are refused or empty where they are something else", () => {
    for (const { name, parse } of checkers) {
      for (const text of ["", "{}", "null", "words\n", '[{"a": 1}]']) {
        try {
          expect(parse(text), `${name} ${text}`).to.deep.equal([]);
        } catch (error) {
          expect(error, `${name} ${text}`).to.be.instanceOf(ReportError);
        }
      }
    }
  });
});
