import { errors, type JWTPayload, jwtVerify } from "jose";
import { type IssuerKeys, KeysUnavailable } from "./issuer-keys.ts";
import { Refusal, type Verdict } from "./verdict.ts";

/** Asymmetric ones only: with a symmetric one, the public key would be a secret to sign with. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const CLOCK_TOLERANCE_S = 5;
/** A token is looked at again after this, so that a key that its issuer gave up is noticed. */
const GOOD_FOR_MS = 300_000;
const MAX_PRINCIPAL_CHARACTERS = 255;
/** Requests that wait for an issuer's keys. */
const MAX_WAITING = 1_000;

/** JWTs of one OpenID Connect issuer, for one audience. */
export class OidcTokens {
  #waiting = 0;

  constructor(
    private readonly keys: IssuerKeys,
    private readonly options: { issuer: string; audience: string; principalClaim: string },
  ) {}

  async verify(token: string): Promise<Verdict> {
    const { issuer, audience, principalClaim } = this.options;
    if (this.#waiting >= MAX_WAITING)
      return Refusal.later("Too many tokens are being looked at; try again in a moment");
    this.#waiting++;
    try {
      const { payload } = await jwtVerify(token, this.keys.find, {
        ...{ issuer, audience, algorithms: ALGORITHMS },
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ["exp", principalClaim],
      });
      const principal = principalOf(payload, principalClaim);
      if (!principal) return Refusal.invalid(`The claim ${principalClaim} names nobody`);
      const expiresAt = ((payload.exp ?? 0) + CLOCK_TOLERANCE_S) * 1_000;
      return { principal, until: Math.min(expiresAt, Date.now() + GOOD_FOR_MS) };
    } catch (error) {
      if (error instanceof KeysUnavailable) return Refusal.later(error.message);
      return Refusal.invalid(reasonOf(error));
    } finally {
      this.#waiting--;
    }
  }
}

/** Never a name that the token file may hold, whatever the issuer lets its users call themselves; safe in keys and logs. */
const principalOf = (payload: JWTPayload, claim: string): string | undefined => {
  const name = payload[claim];
  if (typeof name !== "string" || !name || name.length > MAX_PRINCIPAL_CHARACTERS || /\p{Cs}/u.test(name))
    return undefined;
  return `oidc/${encodeURIComponent(name)}`;
};

const reasonOf = (error: unknown): string => {
  if (error instanceof errors.JWTExpired) return "The token is over";
  if (error instanceof errors.JWTClaimValidationFailed) return `The token's claim ${error.claim} is not as it must be`;
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    return "The token is not signed by its issuer";
  return "The token is no JWT that this server takes";
};
