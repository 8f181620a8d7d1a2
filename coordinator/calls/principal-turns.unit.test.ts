import { setImmediate as nextTurn } from "node:timers/promises";
import { expect } from "chai";
import { PrincipalTurns } from "./principal-turns.ts";

describe("PrincipalTurns", () => {
  it("lets who comes alone begin at once", async () => {
    const turns = new PrincipalTurns(1_000);
    const begun: string[] = [];
    for (let i = 0; i < 10; i++) {
      turns.begin("ann", () => begun.push(`ann ${i}`));
      expect(begun).to.have.length(i + 1);
      await nextTurn();
    }
  });

  it("lets another's request pass those of a crowd, and keeps each one's order", async () => {
    const turns = new PrincipalTurns(1_000);
    const begun: string[] = [];
    for (let i = 0; i < 1_000; i++) turns.begin("crowd", () => begun.push(`crowd ${i}`));
    for (let i = 0; i < 3; i++) turns.begin("ann", () => begun.push(`ann ${i}`));
    expect(begun.length, "the loop is free for others").to.be.below(10);
    while (begun.length < 1_003) await nextTurn();
    expect(begun.indexOf("ann 2"), "in turn").to.be.below(15);
    expect(begun.filter((name) => name.startsWith("ann"))).to.deep.equal(["ann 0", "ann 1", "ann 2"]);
    expect(begun.filter((name) => name.startsWith("crowd")).map((name) => Number(name.slice(6)))).to.deep.equal(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
  });

  it("takes in what begins others", async () => {
    const turns = new PrincipalTurns(1_000);
    let count = 0;
    const again = (): void => {
      if (++count < 50) turns.begin("ann", again);
    };
    turns.begin("ann", again);
    while (count < 50) await nextTurn();
    expect(count).to.equal(50);
  });

  it("takes no more of one principal's than its limit, until some had their turn, and another's all the same", async () => {
    const turns = new PrincipalTurns(10);
    const begun: string[] = [];
    const begin = (name: string): boolean => turns.begin(name, () => begun.push(name));
    const taken = Array.from({ length: 100 }, () => begin("crowd"));
    const atOnce = begun.length;
    expect(taken.filter(Boolean)).to.have.length(atOnce + 10);
    expect(begin("ann")).to.equal(true);
    await nextTurn();
    expect(begun).to.include("ann");
    expect(begin("crowd"), "there is room again").to.equal(true);
    while (begun.length < atOnce + 12) await nextTurn();
  });
});
