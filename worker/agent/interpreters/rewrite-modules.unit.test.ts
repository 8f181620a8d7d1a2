import { expect } from "chai";
import { rewriteModules } from "./rewrite-modules.ts";

const CASES: [code: string, script: string][] = [
  ['import "a";', 'await __import__("a");'],
  ["import a from 'a'", "const { default: a } = await __import__('a')"],
  ["import * as a from 'a';", "const a = await __import__('a');"],
  ["import a, * as b from 'a';", "const b = await __import__('a'), a = b.default;"],
  ["import a, { b, c as d } from 'a';", "const { default: a, b, c: d } = await __import__('a');"],
  ["import {\n  a,\n} from 'a'; a", "const { a, } = await __import__('a')\n\n; a"],
  ["import {$a} from'a'", "const { $a } = await __import__('a')"],
  [
    "import a from './a.json' with { type: 'json' };",
    "const { default: a } = await __import__('./a.json', { with: { type: 'json' } });",
  ],
  ["const a = await import('a');", "const a = await __import__('a');"],
  ["import.meta.url", "__import_meta__.url"],
  ["export const a = 1;", "const a = 1;"],
  ["export default function f() {}", "function f() {}"],
  ["export default 5", "5"],
  ["const a = 1;\nexport {\n  a,\n};\na", "const a = 1;\n\n\n;\na"],
  ["export async function f() {}\nexport class A {}", "async function f() {}\nclass A {}"],
];

describe("A module's code in an interpreter", () => {
  for (const [code, script] of CASES) {
    it(`is run as a script: ${JSON.stringify(code)}`, () => {
      expect(rewriteModules(code).replaceAll(/ +/g, " ")).to.equal(script);
      expect(rewriteModules(code).split("\n").length, "lines stay").to.equal(code.split("\n").length);
    });
  }

  for (const code of [
    "\"import a from 'a'\"",
    "`\nimport a from 'a'\n`",
    "// import a from 'a'",
    "a.import(1); b.export",
    "let = ;",
    "importer(1)",
  ]) {
    it(`is left alone where it only looks like one: ${JSON.stringify(code)}`, () => {
      expect(rewriteModules(code)).to.equal(code);
    });
  }
});
