import { expect } from "chai";
import { hashArguments } from "../calls/arguments-hash.ts";
import { hashRefused } from "./refused-hash.ts";

describe("hashRefused", () => {
  it("is the hash that the call would have had", () => {
    const args = { path: "a", nested: { b: [1, null, "x"], c: { d: true } }, content: "x".repeat(60_000) };
    expect(hashRefused("write_file", args)).to.equal(hashArguments("write_file", args));
  });

  it("is not made of what is large, whatever it is large in, nor of what nests too deep", () => {
    const many = Array.from({ length: 70_000 }, (_, i) => i);
    let deep: unknown = 1;
    for (let i = 0; i < 60_000; i++) deep = [deep];
    for (const large of [
      "x".repeat(70_000),
      many,
      Object.fromEntries(many.map((i) => [`k${i}`, i])),
      [[], [many]],
      deep,
    ])
      expect(hashRefused("read_file", { path: large })).to.equal("");
  });

  it("looks at no part of what is large", () => {
    let looks = 0;
    const watched = new Proxy(new Array<number>(1_000_000).fill(1), {
      get: (target, name) => {
        looks++;
        return Reflect.get(target, name) as unknown;
      },
    });
    expect(hashRefused("read_file", { path: watched })).to.equal("");
    expect(looks).to.be.below(10);
  });
});
