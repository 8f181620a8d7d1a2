import { expect } from "chai";
import { ToolFailure } from "../../shared/failure.ts";
import { pickLines } from "./pick-lines.ts";

const TEXT = "one\ntwo\nthree\nfour\n";

describe("pickLines", () => {
  it("picks what matches, and of that the last lines", () => {
    expect(pickLines(TEXT, { grep: "o", tail: undefined })).to.equal("one\ntwo\nfour\n");
    expect(pickLines(TEXT, { grep: "o", tail: 2 })).to.equal("two\nfour\n");
    expect(pickLines(TEXT, { grep: undefined, tail: 1 })).to.equal("four\n");
    expect(pickLines("", { grep: "o", tail: 1 })).to.equal("");
  });

  it("says how many lines it left out of an answer that is too long", () => {
    const text = pickLines("x".repeat(99).concat("\n").repeat(1_000), { grep: undefined, tail: 900 });
    expect(text).to.match(/^\[600 earlier lines left out\]\n/);
    expect(text.length).to.be.below(30_100);
  });

  it("refuses what is no expression, and one that backtracks for ever", () => {
    const evil = { text: `${"a".repeat(40)}!\n`, grep: "^(a+)+$" };
    for (const [text, grep] of [
      [TEXT, "("],
      [evil.text, evil.grep],
    ] as const) {
      expect(() => pickLines(text, { grep, tail: undefined }))
        .to.throw(ToolFailure)
        .with.property("code", "INVALID_ARGUMENT");
    }
  });
});
