import { expect } from "chai";
import { QuotaFile } from "./quota-file.ts";

describe("A file of quotas", () => {
  it("gives everybody the default, and some something else", () => {
    const file = new QuotaFile(
      JSON.stringify({
        default: { sessions: 3, calls_per_minute: 60 },
        principals: { "oidc/ann": { sessions: 9, weight: 2 }, root: { sessions: null } },
      }),
    );
    expect(file.of("anybody")).to.deep.equal({ sessions: 3, calls_per_minute: 60 });
    expect(file.of("oidc/ann")).to.deep.equal({ sessions: 9, calls_per_minute: 60, weight: 2 });
    expect(file.of("root"), "null lifts a limit").to.deep.equal({ sessions: null, calls_per_minute: 60 });
    expect(new QuotaFile("{}").of("anybody")).to.deep.equal({});
  });

  it("says whether cpu time is to be counted", () => {
    const counts = (text: string): boolean => new QuotaFile(text).countsCpu;
    expect(counts('{"default": {"sessions": 1}}')).to.equal(false);
    expect(counts('{"default": {"cpu_seconds_per_hour": 1}}')).to.equal(true);
    expect(counts('{"principals": {"ann": {"cpu_seconds_per_hour": 0}}}')).to.equal(true);
  });

  it("is refused when it says what there is not, or what makes no sense", () => {
    for (const text of [
      ...["", "[]", '{"defaults": {}}', '{"default": {"session": 1}}', '{"default": {"sessions": -1}}'],
      ...['{"default": {"calls_per_minute": 0}}', '{"principals": {"ann": 3}}', '{"default": {"weight": 0}}'],
    ])
      expect(() => new QuotaFile(text), text).to.throw();
  });
});
