import { expect } from "chai";
import fc from "fast-check";
import { OutputWindow } from "./output-window.ts";

const windowOf = (limit: number, ...parts: (string | Buffer)[]): OutputWindow => {
  const window = new OutputWindow(limit);
  for (const part of parts) window.push(Buffer.from(part as string));
  return window;
};

describe("OutputWindow", () => {
  it("gives back short output as it came, in whatever pieces", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (parts) => {
        const window = windowOf(100_000, ...parts);
        expect(window.text("")).to.equal(Buffer.concat(parts.map((part) => Buffer.from(part))).toString());
        expect(window.isTruncated).to.equal(false);
      }),
    );
  });

  it("keeps head and tail of long output on line boundaries and counts every missing byte", () => {
    const lines = Array.from({ length: 1_000 }, (_, i) => `line ${i}\n`);
    const all = lines.join("");
    const window = windowOf(1_000, ...lines);
    const text = window.text("see elsewhere");
    const [, head, missing, tail] =
      /^([\s\S]*)\n\[… ([\d,]+) bytes left out; see elsewhere …\]\n([\s\S]*)$/.exec(text) ?? [];
    expect(window.isTruncated).to.equal(true);
    expect(all.startsWith(`${head}\n`)).to.equal(true);
    expect(all.endsWith(`\n${tail}`)).to.equal(true);
    expect(Number(missing?.replaceAll(",", "")) + head!.length + tail!.length).to.equal(all.length);
    expect(head!.length + tail!.length).to.be.within(900, 1_000);
  });

  it("shows bytes that are no UTF-8 as U+FFFD and never cuts a character in two", () => {
    const binary = windowOf(100, Buffer.from([0x61, 0xff, 0x62]));
    expect(binary.text("")).to.equal("a\ufffdb");
    expect(binary.isLossy).to.equal(true);
    const cut = windowOf(100, "€".repeat(1_000));
    expect(cut.text("")).not.to.include("\ufffd");
    expect(cut.isLossy).to.equal(false);
  });
});
