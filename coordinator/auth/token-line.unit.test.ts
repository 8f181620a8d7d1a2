import { expect } from "chai";
import { isSecretOf, newToken, parseToken, parseTokenLine } from "./token-line.ts";
import { TokenList } from "./token-list.ts";

const CHEAP = { ln: 4, r: 8, p: 1 };

describe("A token's line", () => {
  it("knows its own token and no other, and does not hold it", async () => {
    const end = new Date("2099-01-02T03:04:05Z");
    const { token, line } = await newToken("build.bot@example", end, CHEAP);
    const parts = parseToken(token);
    const entry = parseTokenLine(line);
    expect(entry).to.include({ id: parts?.id, principal: "build.bot@example", expiresAt: end.getTime() });
    expect(line).to.not.include(parts?.secret);
    expect(await isSecretOf(entry, parts?.secret ?? "")).to.equal(true);
    expect(await isSecretOf(entry, `${parts?.secret.slice(0, -1)}#`)).to.equal(false);
    const other = await newToken("build.bot@example", undefined, CHEAP);
    expect(await isSecretOf(entry, parseToken(other.token)?.secret ?? "")).to.equal(false);
  });

  it("costs an attacker and us what scrypt's usual parameters do unless it says otherwise", async () => {
    const { line } = await newToken("me", undefined);
    expect(parseTokenLine(line).cost).to.deep.equal({ ln: 15, r: 8, p: 1 });
  });

  it("is refused when it is malformed, or would take more memory than a token may", async () => {
    const { line } = await newToken("me", undefined, CHEAP);
    for (const wrong of ["", "me", line.replace(" me ", " "), line.replace("$scrypt", "$argon2"), `${line} tomorrow`])
      expect(() => parseTokenLine(wrong), wrong).to.throw();
    for (const costs of ["ln=21,r=8,p=1", "ln=15,r=99,p=1", "ln=4,r=8,p=9", "ln=0,r=8,p=1"])
      expect(() => parseTokenLine(line.replace(/ln=.*?\$/, `${costs}$`)), costs).to.throw("out of bounds");
    for (const name of ["", "two words", "a/b", "oidc/x", "a:b", "{x}", "x".repeat(129)])
      expect(await newToken(name, undefined, CHEAP).catch((error: unknown) => error), name).to.be.an("error");
  });

  it("stands in a file between comments, its id once", async () => {
    const { token, line } = await newToken("me", undefined, CHEAP);
    const list = new TokenList(`# tokens\n\n${line}\r\n`);
    expect(list.size).to.equal(1);
    expect(list.find(parseToken(token)?.id ?? "")?.principal).to.equal("me");
    expect(() => new TokenList(`${line}\n${line}\n`)).to.throw("line 2 has the id of an earlier one");
    expect(() => new TokenList(`${line}\nnonsense\n`)).to.throw("line 2 is not");
  });
});
