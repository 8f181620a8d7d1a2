import { mock } from "node:test";
import { expect } from "chai";
import { generateKeyPair } from "jose";
import { pino } from "pino";
import { eventually } from "../../test/support/eventually.ts";
import { silentLog } from "../../test/support/silent-log.ts";
import { AUDIENCE, useIssuer } from "../../test/support/use-issuer.ts";
import { useTokens } from "../../test/support/use-tokens.ts";
import { Authenticator, type AuthSettings } from "./authenticator.ts";
import { Refusal, type Verdict } from "./verdict.ts";

const HOUR_MS = 3_600_000;
const OFF = {
  AUTH_TOKENS_FILE: "",
  OIDC_ISSUER: "",
  OIDC_AUDIENCE: "",
  OIDC_JWKS_URL: "",
  OIDC_PRINCIPAL_CLAIM: "sub",
};

describe("Authenticator", () => {
  const tokens = useTokens();
  const issuer = useIssuer();
  const started: Authenticator[] = [];
  const start = async (settings: Partial<AuthSettings>, log = silentLog): Promise<Authenticator> => {
    const authenticator = new Authenticator({ ...OFF, ...settings }, log);
    await authenticator.start();
    started.push(authenticator);
    return authenticator;
  };
  afterEach(async () => {
    mock.timers.reset();
    await Promise.all(started.splice(0).map((authenticator) => authenticator.stop()));
    issuer.mood = "well";
  });
  const check = async (authenticator: Authenticator, token: string): Promise<Verdict> =>
    await authenticator.check(`Bearer ${token}`);
  const principalOf = (verdict: Verdict): string | undefined =>
    verdict instanceof Refusal ? undefined : verdict.principal;
  const refusalOf = (verdict: Verdict): unknown =>
    verdict instanceof Refusal ? [verdict.status, verdict.error] : verdict.principal;

  it("calls everybody anonymous when nothing is set", async () => {
    expect(principalOf(await (await start({})).check(undefined))).to.equal("anonymous");
  });

  describe("with a file of tokens", () => {
    let authenticator: Authenticator;
    let token: string;
    const logged: string[] = [];
    beforeEach(async () => {
      token = await tokens.add("me");
      logged.length = 0;
      const log = pino({ level: "info" }, { write: (line: string) => void logged.push(line) });
      authenticator = await start({ AUTH_TOKENS_FILE: tokens.file }, log);
    });

    it("lets in whoever has one, however the scheme is written, and answers at once from then on", async () => {
      expect(principalOf(await check(authenticator, token))).to.equal("me");
      expect(principalOf(await authenticator.check(`bearer  ${token}`))).to.equal("me");
      expect(authenticator.check(`Bearer ${token}`)).to.not.be.instanceOf(Promise);
    });

    it("looks once at a token that many requests bring at once", async () => {
      const asked = Array.from({ length: 50 }, () => authenticator.check(`Bearer ${token}`));
      expect(new Set(asked).size).to.equal(1);
      expect(principalOf(await asked[0]!)).to.equal("me");
    });

    it("refuses a missing, a malformed, an unknown and a wrong one", async () => {
      expect(refusalOf(await authenticator.check(undefined))).to.deep.equal([401, undefined]);
      for (const header of [
        "",
        "Bearer",
        "Bearer ",
        `Basic ${token}`,
        token,
        `Bearer ${token} x`,
        `Bearer ${"x".repeat(9_000)}`,
      ])
        expect(refusalOf(await authenticator.check(header)), header).to.deep.equal([401, "invalid_request"]);
      const [, id = ""] = token.split("_");
      const wrong = [
        "x",
        "a.b.c",
        `cgm_${id}_`,
        `${token}x`,
        token.replace(id, "000000000000"),
        `cgm_${id}_${"0".repeat(52)}`,
      ];
      for (const one of wrong)
        expect(refusalOf(await check(authenticator, one)), one).to.deep.equal([401, "invalid_token"]);
    });

    it("refuses one that is over, also when it was good a moment ago", async () => {
      const over = await tokens.add("late", new Date(Date.now() - 1));
      const soon = await tokens.add("soon", new Date(Date.now() + HOUR_MS));
      const own = await start({ AUTH_TOKENS_FILE: tokens.file });
      expect(refusalOf(await check(own, over))).to.deep.equal([401, "invalid_token"]);
      expect(principalOf(await check(own, soon))).to.equal("soon");
      mock.timers.enable({ apis: ["Date"], now: Date.now() + HOUR_MS });
      expect(refusalOf(await check(own, soon))).to.deep.equal([401, "invalid_token"]);
    });

    it("refuses one whose line was taken out, and takes one that was added", async () => {
      expect(principalOf(await check(authenticator, token))).to.equal("me");
      await tokens.revoke(token);
      await eventually("it is revoked", async () => (await check(authenticator, token)) instanceof Refusal);
      const next = await tokens.add("next");
      await eventually("the new one is known", async () => principalOf(await check(authenticator, next)) === "next");
    });

    it("goes on with what the file said while it is no good, and says so without its contents", async () => {
      const good = await tokens.text();
      await tokens.rewrite(`${good}secret nonsense\n`);
      await eventually("the log says so", () => logged.some((line) => line.includes("is not `<id>")));
      expect(logged.join("")).to.not.include("nonsense").and.not.include(token);
      expect(principalOf(await check(authenticator, token))).to.equal("me");
      await tokens.rewrite(good);
      const next = await tokens.add("after");
      await eventually("it is read again", async () => principalOf(await check(authenticator, next)) === "after");
    });

    it("does not start where the file is not there or is no good", async () => {
      for (const [file, text] of [[`${tokens.file}.none`], [tokens.file, "nonsense\n"]] as const) {
        if (text) await tokens.rewrite(text);
        const error = await start({ AUTH_TOKENS_FILE: file }).catch((err: unknown) => err);
        expect(error).to.have.property("name", "ConfigError");
      }
      await tokens.rewrite("");
    });
  });

  describe("with an issuer", () => {
    const settings = (): Partial<AuthSettings> => ({ OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: AUDIENCE });
    let authenticator: Authenticator;
    beforeEach(async () => {
      authenticator = await start(settings());
    });

    it("lets in its tokens by discovery or by its key set's URL, and answers at once from then on", async () => {
      const token = await issuer.sign();
      const direct = await start({ ...settings(), OIDC_JWKS_URL: `${issuer.url}/keys` });
      for (const one of [authenticator, direct]) {
        expect(principalOf(await check(one, token))).to.equal("oidc/user%7C1");
        expect(one.check(`Bearer ${token}`)).to.not.be.instanceOf(Promise);
      }
    });

    it("takes the claim that is set for the principal, and never for one of the file's", async () => {
      const named = await start({ ...settings(), OIDC_PRINCIPAL_CLAIM: "email" });
      const token = await issuer.sign({ email: "a:b{c}@example" });
      expect(principalOf(await check(named, token))).to.equal("oidc/a%3Ab%7Bc%7D%40example");
      for (const email of [undefined, "", 7, "x".repeat(256), "\ud800"])
        expect(refusalOf(await check(named, await issuer.sign({ email }))), `${email}`).to.deep.equal([
          401,
          "invalid_token",
        ]);
    });

    const now = Math.floor(Date.now() / 1000);
    const claims = {
      "is over": { exp: now - 60 },
      "is for another audience": { aud: "https://other.example" },
      "is for nobody": { aud: undefined },
      "is another issuer's": { iss: "https://other.example" },
      "has no end": { exp: undefined },
      "is not good yet": { nbf: now + 3_600 },
      "says of nobody whose it is": { sub: undefined },
    };
    for (const [what, own] of Object.entries(claims)) {
      it(`refuses a token that ${what}`, async () => {
        const token = await issuer.sign(own);
        expect(refusalOf(await check(authenticator, token))).to.deep.equal([401, "invalid_token"]);
      });
    }

    it("refuses a token that is forged: another key, none, the public key as a secret, changed claims", async () => {
      const { privateKey } = await generateKeyPair("ES256");
      const [head = "", body = "", mac = ""] = (await issuer.sign()).split(".");
      const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
      const claimed = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
      const forged = [
        await issuer.sign({}, { key: privateKey }),
        `${part({ alg: "none" })}.${body}.`,
        await issuer.sign({}, { alg: "HS256", key: new TextEncoder().encode(JSON.stringify(issuer.jwk)) }),
        `${head}.${part({ ...claimed, sub: "admin" })}.${mac}`,
        `${head}.${body}.`,
      ];
      for (const token of forged)
        expect(refusalOf(await check(authenticator, token)), token).to.deep.equal([401, "invalid_token"]);
    });

    it("remembers no token past its end", async () => {
      const token = await issuer.sign();
      expect(principalOf(await check(authenticator, token))).to.equal("oidc/user%7C1");
      mock.timers.enable({ apis: ["Date"], now: Date.now() + 2 * HOUR_MS });
      expect(refusalOf(await check(authenticator, token))).to.deep.equal([401, "invalid_token"]);
    });

    it("says try again, and keeps nobody else waiting, while the keys' endpoint hangs", async () => {
      const token = await tokens.add("known");
      const both = await start({ ...settings(), AUTH_TOKENS_FILE: tokens.file });
      issuer.mood = "hanging";
      const { asked } = issuer;
      const verdicts = Array.from({ length: 20 }, async () =>
        refusalOf(await check(both, await issuer.sign({ jti: crypto.randomUUID() }))),
      );
      await eventually("it was asked", () => issuer.asked > asked);
      expect(principalOf(await check(both, token)), "while the others wait").to.equal("known");
      for (const verdict of await Promise.all(verdicts)) expect(verdict).to.deep.equal([503, undefined]);
      expect(issuer.asked - asked, "one asks for all").to.equal(1);
      issuer.mood = "well";
      await eventually("it is well again", async () => principalOf(await check(both, await issuer.sign())));
    });

    it("says try again when the issuer fails, or is another than it says", async () => {
      issuer.mood = "failing";
      expect(refusalOf(await check(authenticator, await issuer.sign()))).to.deep.equal([503, undefined]);
      issuer.mood = "well";
      const other = await start({ ...settings(), OIDC_ISSUER: `${issuer.url}/other` });
      const token = await issuer.sign({ iss: `${issuer.url}/other` });
      expect(refusalOf(await check(other, token))).to.deep.equal([503, undefined]);
    });

    it("goes on with the keys that it has while the issuer is away, for an hour", async () => {
      const exp = Math.floor((Date.now() + 9 * HOUR_MS) / 1000);
      const [first, second, third] = await Promise.all(["1", "2", "3"].map((sub) => issuer.sign({ exp, sub })));
      expect(principalOf(await check(authenticator, first!))).to.equal("oidc/1");
      issuer.mood = "failing";
      mock.timers.enable({ apis: ["Date"], now: Date.now() + HOUR_MS / 2 });
      expect(principalOf(await check(authenticator, second!))).to.equal("oidc/2");
      mock.timers.setTime(Date.now() + HOUR_MS);
      expect(refusalOf(await check(authenticator, third!))).to.deep.equal([503, undefined]);
    });
  });
});
