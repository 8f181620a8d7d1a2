import { expect } from "chai";
import pino from "pino";
import { RefusalLog } from "./refusal-log.ts";

describe("The log of refusals", () => {
  it("says each once a minute, and not more than a hundred", () => {
    const lines: { name: string }[] = [];
    const refusals = new RefusalLog(pino({}, { write: (line) => void lines.push(JSON.parse(line)) }));
    for (let i = 0; i < 300; i++) refusals.note("p", `n${i % 120}`, 443, "not_listed");
    expect(lines.map(({ name }) => name)).to.deep.equal(Array.from({ length: 100 }, (_, i) => `n${i}`));
    expect(lines[0]).to.include({ principal: "p", port: 443, verdict: "not_listed" });
  });
});
