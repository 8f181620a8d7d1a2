import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ConfigError } from "../../shared/config.ts";
import { DEFAULT_ALLOW, EgressRules } from "./egress-rules.ts";

describe("Rules of egress", () => {
  const rules = EgressRules.of({
    allow: ["plain.example", "*.wild.example", "git.example:22"],
    hosts: { "git.example": "10.0.0.1" },
    principals: { team: { allow: ["own.example"] }, all: { allow: ["*"] }, none: { allow: [] } },
  });

  it("allow the names that are listed, on the ports of the web", () => {
    expect(rules.allows("x", "plain.example", 443)).to.equal(true);
    expect(rules.allows("x", "plain.example", 80)).to.equal(true);
    expect(rules.allows("x", "a.b.wild.example", 443)).to.equal(true);
    expect(rules.allows("x", "git.example", 22)).to.equal(true);
  });

  it("allow nothing else", () => {
    for (const [name, port] of [
      ["plain.example", 22],
      ["git.example", 443],
      ["wild.example", 443],
      [".wild.example", 443],
      ["notwild.example", 443],
      ["evil-plain.example", 443],
      ["plain.example.evil", 443],
      ["x.plain.example", 443],
      ["127.0.0.1", 80],
      ["", 80],
    ] as const)
      expect(rules.allows("x", name, port), `${name}:${port}`).to.equal(false);
  });

  it("are a principal's own where it has any", () => {
    expect(rules.allows("team", "own.example", 443)).to.equal(true);
    expect(rules.allows("team", "plain.example", 443)).to.equal(false);
    expect(rules.allows("all", "any.thing", 443)).to.equal(true);
    expect(rules.allows("none", "plain.example", 443)).to.equal(false);
    expect(rules.allows("constructor", "plain.example", 443)).to.equal(true);
  });

  it("know addresses that the operator gave", () => {
    expect(rules.addressOf("git.example")).to.equal("10.0.0.1");
    expect(EgressRules.of({ hosts: { "Git.Example": "10.0.0.2" } }).addressOf("git.example")).to.equal("10.0.0.2");
    expect(rules.addressOf("constructor")).to.equal(undefined);
  });

  it("are git hosts where there is no file", () => {
    const defaults = EgressRules.read(undefined);
    expect(defaults.allows("x", "github.com", 443)).to.equal(true);
    expect(defaults.allows("x", "example.org", 443)).to.equal(false);
  });

  it("are the same in Compose's file, to begin with", () => {
    const { allow } = JSON.parse(readFileSync("compose/egress/rules.json", "utf8")) as { allow: string[] };
    expect(allow).to.deep.equal(DEFAULT_ALLOW);
  });

  describe("with secrets", () => {
    let folder: string;
    before(() => {
      folder = mkdtempSync(join(tmpdir(), "egress-"));
      writeFileSync(join(folder, "value"), "value-of-a-secret\n");
      writeFileSync(join(folder, "other"), "value-of-another");
      for (const [name, value] of Object.entries({
        short: "1234567",
        two: "12345678\n12345678",
        latin: "schlüssel-lang",
      }))
        writeFileSync(join(folder, name), value);
    });
    after(() => rmSync(folder, { recursive: true }));
    const secret = (value_file: string, ...hosts: string[]) => ({ name: "S", hosts, value_file });

    it("put them into requests to their hosts, on their ports, of their principals", () => {
      const secretive = EgressRules.of(
        {
          secrets: [
            { ...secret("value", "a.example", "b.example:8443"), format: "Bearer {}" },
            { ...secret("other", "plain.example"), plain_http: true },
          ],
          principals: { team: { secrets: [secret("other", "team.example")] }, listed: { allow: ["x.example"] } },
        },
        folder,
      );
      const to = (principal: string, name: string, port: number, isTls = true): string =>
        secretive
          .secretsFor(principal, name, port, isTls)
          .map(({ value, format }) => `${format} ${value}`)
          .join();
      expect(to("x", "a.example", 443)).to.equal("Bearer {} value-of-a-secret");
      expect(to("x", "b.example", 8443)).to.equal("Bearer {} value-of-a-secret");
      expect(to("listed", "a.example", 443)).to.equal("Bearer {} value-of-a-secret");
      expect(to("x", "plain.example", 80, false)).to.equal("{} value-of-another");
      expect(to("team", "team.example", 443)).to.equal("{} value-of-another");
      for (const [principal, name, port, isTls] of [
        ["x", "a.example", 80, false],
        ["x", "a.example", 22, true],
        ["x", "b.example", 443, true],
        ["x", "sub.a.example", 443, true],
        ["x", "team.example", 443, true],
        ["team", "a.example", 443, true],
      ] as const)
        expect(to(principal, name, port, isTls), `${principal} ${name}:${port}`).to.equal("");
    });

    it("refuse what cannot be a header, and what cannot be told from other text", () => {
      for (const value of ["short", "two", "latin", "missing"])
        expect(() => EgressRules.of({ secrets: [secret(value, "a.example")] }, folder), value).to.throw();
      for (const more of [
        { header: "a b" },
        { format: "none" },
        { format: "a\n{}" },
        { hosts: ["*.x"] },
        { hosts: [] },
      ])
        expect(() => EgressRules.of({ secrets: [{ ...secret("value", "a.example"), ...more }] }, folder)).to.throw();
    });
  });

  it("name what is wrong with a file", () => {
    const folder = mkdtempSync(join(tmpdir(), "egress-"));
    const file = join(folder, "egress.json");
    for (const content of ["{", '{"allow": ["https://x"]}', '{"alow": []}', '{"hosts": {"a": "b"}}']) {
      writeFileSync(file, content);
      expect(() => EgressRules.read(file), content).to.throw(ConfigError, /EGRESS_FILE/);
    }
    rmSync(folder, { recursive: true });
  });
});
