import { expect } from "chai";
import { ChannelReader } from "./channel.ts";

/** What a reader makes of the chunks. */
const read = (...chunks: (string | Buffer)[]): unknown[] => {
  const told: unknown[] = [];
  const reader = new ChannelReader({
    onResult: (text) => told.push(["result", text]),
    onImage: (png) => told.push(["image", [...png]]),
    onDone: (status) => told.push(["done", status]),
    onBroken: () => told.push("broken"),
  });
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return told;
};

describe("An interpreter's channel", () => {
  const whole = Buffer.concat([
    Buffer.from("result 8\ngrößer"),
    Buffer.from("image 3\n"),
    Buffer.from([0, 10, 255]),
    Buffer.from("done 1\n0done 3\n130"),
  ]);
  const expected = [
    ["result", "größer"],
    ["image", [0, 10, 255]],
    ["done", 0],
    ["done", 130],
  ];

  it("is understood however it is cut", () => {
    expect(read(whole)).to.deep.equal(expected);
    expect(read(...[...whole].map((byte) => Buffer.from([byte])))).to.deep.equal(expected);
    for (let at = 1; at < whole.length; at++) {
      expect(read(whole.subarray(0, at), whole.subarray(at))).to.deep.equal(expected);
    }
  });

  it("takes an empty payload", () => {
    expect(read("result 0\ndone 1\n7")).to.deep.equal([
      ["result", ""],
      ["done", 7],
    ]);
  });

  for (const nonsense of [
    "hello\n",
    "result -1\n",
    "result 1048577\n",
    "done 4\n",
    "image 99999999\n",
    "x".repeat(40),
    "done 1\nx",
  ]) {
    it(`is given up after ${JSON.stringify(nonsense.slice(0, 20))}, whatever follows`, () => {
      expect(read(nonsense, "done 1\n0")).to.deep.equal(["broken"]);
    });
  }
});
