import { expect } from "chai";
import fc from "fast-check";
import { ToolFailure } from "../../shared/failure.ts";
import { PROPERTY_RUNS, randomText } from "../../test/support/random-text.ts";
import { fromBytes, fromText, isCrlf, toBytes, toText } from "./byte-text.ts";
import { replaceText } from "./replace-text.ts";

const replace = (file: string, oldString: string, newString: string, replaceAll = false): string => {
  const { content } = replaceText(fromText(file), { path: "f", oldString, newString, replaceAll });
  return toText(content);
};
const failure = (file: string, oldString: string): ToolFailure => {
  try {
    replace(file, oldString, "x");
  } catch (error) {
    if (error instanceof ToolFailure) return error;
    throw error;
  }
  throw new Error("it was replaced");
};

describe("replaceText", () => {
  it("is a plain replacement, for any text", () => {
    const anything = fc.record({
      file: randomText(),
      from: fc.nat(300),
      length: fc.integer({ min: 1, max: 40 }),
      newString: randomText("lf", 4),
      replaceAll: fc.boolean(),
    });
    const property = fc.property(anything, ({ file, from, length, newString, replaceAll }) => {
      const oldString = file.slice(from % Math.max(1, file.length)).slice(0, length);
      fc.pre(oldString !== "" && oldString !== newString);
      const pieces = file.split(oldString);
      let first = file.indexOf(oldString);
      const isUnique = file.indexOf(oldString, ++first) < 0;
      if (!isUnique && !replaceAll) {
        expect(() => replace(file, oldString, newString))
          .to.throw(ToolFailure)
          .with.property("code", "EDIT_NOT_UNIQUE");
        return;
      }
      const isAdapted = isCrlf(file) && !oldString.includes("\r");
      const expected = pieces.join(isAdapted ? newString.replaceAll("\n", "\r\n") : newString);
      // In a CRLF file a lone LF in old_string stands for CRLF, which is then the same place.
      fc.pre(!isAdapted || !oldString.includes("\n"));
      expect(replace(file, oldString, newString, replaceAll)).to.equal(expected);
    });
    fc.assert(property, { numRuns: PROPERTY_RUNS * 5 });
  });

  it("understands LF as CRLF in files that have nothing else", () => {
    const property = fc.property(randomText("lf"), fc.nat(100), fc.integer({ min: 1, max: 30 }), (file, at, length) => {
      const oldString = file.slice(at % Math.max(1, file.length)).slice(0, length);
      fc.pre(oldString !== "" && file.includes("\n"));
      const expected = file.replaceAll(oldString, () => "x\ny");
      expect(replace(file.replaceAll("\n", "\r\n"), oldString, "x\ny", true)).to.equal(
        expected.replaceAll("\n", "\r\n"),
      );
    });
    fc.assert(property, { numRuns: PROPERTY_RUNS });
    expect(replace("a\r\nb\nc", "b", "x\ny"), "a file of both is left as it is").to.equal("a\r\nx\ny\nc");
  });

  it("leaves every other byte alone, whatever it is", () => {
    const bytes = Buffer.from([0xff, 0, 0xc3, 0x61, 0x80]);
    const { content } = replaceText(fromBytes(bytes), { path: "f", oldString: "a", newString: "é", replaceAll: false });
    expect([...toBytes(content)]).to.deep.equal([0xff, 0, 0xc3, 0xc3, 0xa9, 0x80]);
  });

  it("shows the nearest match and its line on a miss, and says how it differs", () => {
    const file = "def f(x):\n    y = x + 1\n    return y\n\n\ndef g():\n    pass\n";
    const indented = failure(file, "  y = x + 1\n  return y\n");
    expect(indented).to.include({ code: "EDIT_NO_MATCH" });
    expect(indented.message).to.include("nearest match begins at line 2").and.include("whitespace");
    expect(indented.hint).to.include("    y = x + 1\n    return y");
    expect(failure(file, "    y = x + 2\n    return z\n").message).to.include("line 2, and it differs first in line 2");
    expect(failure(file, "def f(x):\n    y = x + 1\n    return x\n").message).to.include("differs first in line 3");
    expect(failure(file, "return y  # the result").message).to.include("line 3");
    expect(failure("first\r\nsecond\nc\n", "first\nsecond\n").message).to.include("differs in line endings");
    expect(failure(file, "zzzzqqqq").message).to.include("nor does anything like it");
    expect(failure("", "a").code).to.equal("EDIT_NO_MATCH");
  });

  it("names the lines where a text stands more than once", () => {
    const found = failure("a\nb\na\nc a\n", "a");
    expect(found).to.include({ code: "EDIT_NOT_UNIQUE" });
    expect(found.message).to.include("3 times").and.include("lines 1, 3, 4");
    expect(failure("aaa", "aa").message, "overlapping places are two").to.include("2 times");
    expect(failure("x\n".repeat(50), "x").message).to.include("more than 10 times");
  });

  it("takes time in proportion to the file, whatever is looked for", () => {
    const half = "a".repeat(400_000);
    expect(failure(`${"a".repeat(4_000_000)}\n`, `${half}b${half}`).code).to.equal("EDIT_NO_MATCH");
    expect(() => replace("a".repeat(200_000), "a", "b", true))
      .to.throw(ToolFailure)
      .with.property("code", "INVALID_ARGUMENT");
    expect(() => replace("a".repeat(9_000), "a", "b".repeat(1_000), true))
      .to.throw(ToolFailure)
      .with.property("code", "FILE_TOO_LARGE");
  });
});
