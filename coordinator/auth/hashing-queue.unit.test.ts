import { expect } from "chai";
import { HashingQueue } from "./hashing-queue.ts";

describe("HashingQueue", () => {
  /** Work that ends when it is told to. */
  const held = () => {
    let end = (): void => {};
    const work = new Promise<void>((resolve) => {
      end = resolve;
    });
    return { work: () => work, end };
  };

  it("does little at once, and ids that wait come in turn", async () => {
    const queue = new HashingQueue();
    const first = [held(), held()];
    const running = first.map(({ work }, i) => queue.run(`first ${i}`, work));
    const order: string[] = [];
    const ask = (id: string): Promise<unknown> => queue.run(id, async () => order.push(id));
    const all = [...["guessed", "guessed", "guessed"].map(ask), ask("honest")];
    expect(order, "all wait").to.deep.equal([]);
    for (const { end } of first) end();
    await Promise.all([...running, ...all]);
    expect(order).to.have.length(4);
    expect(order.indexOf("honest"), "behind one of the others at most").to.be.at.most(1);
  });

  it("refuses what is too much of one id, and takes it again later", async () => {
    const queue = new HashingQueue();
    const { work, end } = held();
    const running = ["a", "b"].map((id) => queue.run(id, work));
    const guesses = Array.from({ length: 20 }, () => queue.run("guessed", async () => true));
    const refused = await Promise.race([
      Promise.all(guesses.slice(10)),
      new Promise((resolve) => setImmediate(resolve)),
    ]);
    expect(refused).to.deep.equal(Array.from({ length: 10 }, () => undefined));
    end();
    await Promise.all(running);
    expect((await Promise.all(guesses)).filter(Boolean)).to.have.length.within(1, 5);
    expect(await queue.run("guessed", async () => true)).to.equal(true);
  });

  it("goes on when what it did has failed", async () => {
    const queue = new HashingQueue();
    for (let i = 0; i < 5; i++)
      expect(await queue.run("x", () => Promise.reject(new Error("no"))).catch(() => "failed")).to.equal("failed");
    expect(await queue.run("x", async () => "done")).to.equal("done");
  });
});
