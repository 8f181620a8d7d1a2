import { expect } from "chai";
import { parseConfig } from "./config.ts";

describe("The coordinator's settings", () => {
  it("let nobody in from other machines without tokens, unless that is asked for by name", () => {
    for (const HOST of [
      "0.0.0.0",
      "::",
      "0:0::0",
      "192.0.2.1",
      "example.test",
      "::ffff:127.0.0.1",
      "fe80::1%eth0",
      "127.0.0.1.example",
    ]) {
      expect(() => parseConfig({ HOST }), HOST).to.throw("nothing says who may come in");
      for (const env of [
        { AUTH_TOKENS_FILE: "/tokens" },
        { OIDC_ISSUER: "https://id.example/", OIDC_AUDIENCE: "x" },
        { ALLOW_ANONYMOUS_PUBLIC: "true" },
      ])
        expect(parseConfig({ HOST, ...env }).HOST).to.equal(HOST);
    }
    for (const HOST of ["127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1", "localhost"])
      expect(parseConfig({ HOST }).HOST).to.equal(HOST);
    expect(() => parseConfig({ HOST: "0.0.0.0", ALLOW_ANONYMOUS_PUBLIC: "false" })).to.throw();
  });

  it("look at the address that is published in front of a container's, where one is named", () => {
    expect(parseConfig({ HOST: "0.0.0.0", PUBLISHED_ADDRESS: "127.0.0.1" }).HOST).to.equal("0.0.0.0");
    for (const HOST of ["0.0.0.0", "127.0.0.1"])
      expect(() => parseConfig({ HOST, PUBLISHED_ADDRESS: "0.0.0.0" })).to.throw("nothing says who may come in");
  });

  it("want an audience with an issuer, and a key with a certificate", () => {
    expect(() => parseConfig({ OIDC_ISSUER: "https://id.example" })).to.throw("OIDC_AUDIENCE");
    expect(() => parseConfig({ OIDC_AUDIENCE: "x" })).to.throw("OIDC_ISSUER");
    expect(() => parseConfig({ OIDC_JWKS_URL: "https://id.example/keys" })).to.throw("OIDC_JWKS_URL");
    expect(() => parseConfig({ TLS_CERT_FILE: "/cert" })).to.throw("TLS_KEY_FILE");
  });

  it("keep an issuer as it is written: a slash at the end is part of its name", () => {
    const env = { OIDC_ISSUER: "https://id.example/", OIDC_AUDIENCE: "x" };
    expect(parseConfig(env).OIDC_ISSUER).to.equal("https://id.example/");
  });
});
