import { expect } from "chai";
import { GitIgnore } from "./gitignore.ts";
import { compileGlob } from "./glob.ts";
import { TextCheck } from "./scan-file.ts";

describe("A glob", () => {
  for (const [glob, fits, fails] of [
    ["*.ts", ["a.ts", ".ts"], ["a.tsx", "b/a.ts"]],
    ["**/*.ts", ["a.ts", "b/c/a.ts"], ["a.js"]],
    ["src/**", ["src/a", "src/a/b"], ["lib/a"]],
    ["a/**/z", ["a/z", "a/b/c/z"], ["a/b", "b/z"]],
    ["?[a-c].{js,{c,m}js}", ["xa.js", "xb.cjs", "xc.mjs"], ["xd.js", "a.js"]],
    ["[!a]*", ["b", "bc"], ["a", "ab"]],
    ["a[", ["a["], ["a"]],
  ] as [string, string[], string[]][]) {
    it(`${glob} fits ${fits.join(", ")} and not ${fails.join(", ")}`, () => {
      const matches = compileGlob(glob);
      expect(fits.filter((path) => !matches(path))).to.deep.equal([]);
      expect(fails.filter(matches)).to.deep.equal([]);
    });
  }

  it("is quick whatever it is, and bounded", () => {
    expect(compileGlob(`${"*a".repeat(100)}b`)("a".repeat(255))).to.equal(false);
    expect(() => compileGlob("{a,b}".repeat(20))).to.throw(/alternatives/);
  });
});

describe("GitIgnore", () => {
  it("follows git: the last rule decides, anchors, folders, negation", () => {
    const ignore = new GitIgnore("# c\n*.log\n!keep.log\n/top\nbuild/\ndoc/*.txt\n\\#x\n");
    const verdict = (path: string, isFolder = false) => ignore.isIgnored(path, isFolder);
    expect([verdict("a/b.log"), verdict("keep.log"), verdict("top"), verdict("a/top")]).to.deep.equal([
      true,
      false,
      true,
      undefined,
    ]);
    expect([
      verdict("x/build", true),
      verdict("build"),
      verdict("doc/a.txt"),
      verdict("doc/a/b.txt"),
      verdict("#x"),
    ]).to.deep.equal([true, undefined, true, undefined, true]);
  });
});

describe("TextCheck", () => {
  const isText = (...chunks: Buffer[]) => {
    const check = new TextCheck();
    for (const chunk of chunks) check.push(chunk);
    return check.end();
  };
  it("knows UTF-8 wherever it is cut, and what is none", () => {
    const text = Buffer.from("aé€😀z");
    for (let i = 0; i <= text.length; i++)
      for (let j = i; j <= text.length; j++)
        expect(isText(text.subarray(0, i), text.subarray(i, j), text.subarray(j)), `${i} ${j}`).to.equal(true);
    for (const bad of [[0], [0xff], [0x61, 0xe2, 0x82], [0xc0, 0x80], [0x80]])
      expect(isText(Buffer.from(bad))).to.equal(false);
  });
});
