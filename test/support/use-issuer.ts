import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export const AUDIENCE = "https://codegen.example/mcp";

/** How the issuer answers. */
export type Mood = "well" | "hanging" | "failing";

/** A real OpenID Connect issuer for the tests of one `describe`, as far as a resource server asks one. */
export const useIssuer = () => {
  let server: Server;
  let key: CryptoKey;
  let jwk: JWK;
  let mood: Mood = "well";
  let asked = 0;
  const answer = (url: string, response: ServerResponse): void => {
    asked++;
    if (mood === "hanging") return;
    const issuer = issuerUrl();
    const bodies: Record<string, unknown> = {
      "/.well-known/openid-configuration": { issuer, jwks_uri: `${issuer}/keys` },
      "/other/.well-known/openid-configuration": { issuer, jwks_uri: `${issuer}/keys` },
      "/keys": { keys: [jwk] },
    };
    const body = mood === "well" ? bodies[url] : undefined;
    response.writeHead(body ? 200 : 500, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const issuerUrl = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  before(async () => {
    const pair = await generateKeyPair("ES256");
    key = pair.privateKey;
    jwk = { ...(await exportJWK(pair.publicKey)), kid: crypto.randomUUID(), alg: "ES256", use: "sig" };
    server = createServer(({ url = "" }, response) => answer(url, response)).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    get url(): string {
      return issuerUrl();
    },
    get jwk(): JWK {
      return jwk;
    },
    /** Requests so far. */
    get asked(): number {
      return asked;
    },
    set mood(now: Mood) {
      mood = now;
    },
    /** A token as the issuer would make it, with `claims` over its own; undefined takes one out. */
    sign: async (
      claims: Record<string, unknown> = {},
      by: { key?: CryptoKey | Uint8Array; alg?: string } = {},
    ): Promise<string> => {
      const now = Math.floor(Date.now() / 1000);
      const all = {
        iss: issuerUrl(),
        aud: AUDIENCE,
        sub: "user|1",
        iat: now,
        exp: now + 3_600,
        ...claims,
      } as JWTPayload;
      return await new SignJWT(all)
        .setProtectedHeader({ alg: by.alg ?? "ES256", kid: String(jwk.kid) })
        .sign(by.key ?? key);
    },
  };
};
