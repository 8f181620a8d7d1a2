import { expect } from "chai";
import { percentile, sampleInTurns } from "./sampling.ts";

describe("percentile", () => {
  it("gives a value that was measured, at the nearest rank", () => {
    expect(percentile([4, 1, 3, 2], 0.5)).to.equal(2);
    expect(percentile([4, 1, 3, 2], 0.95)).to.equal(4);
    expect(percentile([7], 0.5)).to.equal(7);
  });
});

describe("sampleInTurns", () => {
  it("warms every probe up, then gives each its turn in every round", async () => {
    const seen: string[] = [];
    const probe = (name: string) => ({ name, sample: async () => void seen.push(name) });
    const rounds = { rounds: 2, perRound: 2, warmUp: 1 };
    const rows = await sampleInTurns([probe("a"), probe("b")], rounds, new AbortController().signal);
    expect(seen.join("")).to.equal(`ab${"aabb".repeat(2)}`);
    expect(rows.map(({ name }) => name)).to.deep.equal(["a", "b"]);
  });

  it("ends at once when it is told to stop", async () => {
    const abort = new AbortController();
    const probe = { name: "a", sample: async () => abort.abort(new Error("stop")) };
    const failure = await sampleInTurns([probe], { rounds: 9, perRound: 9, warmUp: 0 }, abort.signal).catch(
      (error) => error,
    );
    expect(failure).to.have.property("message", "stop");
  });
});
