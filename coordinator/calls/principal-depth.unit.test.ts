import { expect } from "chai";
import { PrincipalDepth } from "./principal-depth.ts";

describe("PrincipalDepth", () => {
  const codeOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => "OK",
      (error: { code?: string }) => error.code,
    );

  it("refuses what one principal asks beyond its limit, and nobody else's, until something ends", async () => {
    const depth = new PrincipalDepth(2);
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const open = [depth.count("a", () => ended), depth.count("a", () => ended)];
    expect(await codeOf(depth.count("a", async () => {}))).to.equal("QUEUE_FULL");
    expect(await codeOf(depth.count("b", async () => {}))).to.equal("OK");
    end();
    await Promise.all(open);
    expect(await codeOf(depth.count("a", async () => {}))).to.equal("OK");
  });

  it("counts what failed as ended", async () => {
    const depth = new PrincipalDepth(1);
    await codeOf(depth.count("a", () => Promise.reject(new Error("failed"))));
    expect(await codeOf(depth.count("a", async () => {}))).to.equal("OK");
  });
});
