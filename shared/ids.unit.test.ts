import { expect } from "chai";
import { isCallId, isSessionId, newCallId, newSessionId, randomText, sessionOf } from "./ids.ts";

describe("Ids", () => {
  it("have 128 random bits at least, so that nobody guesses a session or the channel of its replies", () => {
    const sid = newSessionId();
    expect(sid.slice("ses_".length).length * 5).to.be.at.least(128);
    expect(isSessionId(sid)).to.equal(true);
    const seen = new Set(Array.from({ length: 10_000 }, () => randomText(26)));
    expect(seen.size).to.equal(10_000);
    const characters = new Set([...seen].join(""));
    expect(characters.size, "all of the alphabet is used").to.equal(32);
  });

  it("of 0.2 are sessions still", () => {
    const sid = `ses_${randomText(16)}` as const;
    expect(isSessionId(sid)).to.equal(true);
    expect(sessionOf(newCallId(sid))).to.equal(sid);
    expect(isSessionId(`ses_${randomText(20)}`)).to.equal(false);
  });

  it("of a call name its session", () => {
    const sid = newSessionId();
    const call = newCallId(sid);
    expect(isCallId(call)).to.equal(true);
    expect(sessionOf(call)).to.equal(sid);
  });
});
