import { expect } from "chai";
import { carrierOf, toTraceContext, traceIdOf } from "./trace-context.ts";

const ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${ID}-b7ad6b7169203331-01`;

describe("A trace's context", () => {
  it("travels as one string, and is told by its id", () => {
    const both = toTraceContext(PARENT, "vendor=a b,other=c");
    expect(carrierOf(both)).to.deep.equal({ traceparent: PARENT, tracestate: "vendor=a b,other=c" });
    expect(carrierOf(toTraceContext(PARENT, undefined))).to.deep.equal({ traceparent: PARENT });
    expect(traceIdOf(both)).to.deep.equal({ trace: ID });
  });

  it("is none where a client's words are malformed", () => {
    for (const words of [undefined, null, 7, "", "00-xyz", `${PARENT}\n`, PARENT.toUpperCase(), `${PARENT}-extra`])
      expect(toTraceContext(words, undefined), String(words)).to.equal("");
    expect(toTraceContext(PARENT, "x".repeat(513))).to.equal(PARENT);
    expect(carrierOf("")).to.deep.equal({});
    expect(traceIdOf("")).to.deep.equal({});
  });
});
