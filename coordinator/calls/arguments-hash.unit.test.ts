import { expect } from "chai";
import { hashArguments } from "./arguments-hash.ts";

describe("hashArguments", () => {
  it("does not depend on the order of names, at any depth, nor on how long to wait", () => {
    const one = hashArguments("t", { a: 1, b: { c: [{ d: 1, e: 2 }], f: 3 }, wait_ms: 5 });
    expect(hashArguments("t", { b: { f: 3, c: [{ e: 2, d: 1 }] }, a: 1 })).to.equal(one);
    expect(hashArguments("t", { a: 1, b: { c: [{ d: 1, e: 3 }], f: 3 } })).not.to.equal(one);
    expect(hashArguments("u", { a: 1, b: { c: [{ d: 1, e: 2 }], f: 3 } })).not.to.equal(one);
  });

  it("takes whatever JSON may hold", () => {
    const text =
      '{"a":{"toString":1,"valueOf":null},"ab":[{"toString":[]}],"__proto__":{"x":1},"constructor":{},"toJSON":1}';
    const hash = hashArguments("t", JSON.parse(text));
    expect(hash).to.match(/^[\w-]{43}$/);
    expect(hashArguments("t", JSON.parse(text.replace('"x":1', '"x":2')))).not.to.equal(hash);
  });
});
