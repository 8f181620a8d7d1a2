import { hash } from "node:crypto";
import type { Logger } from "pino";
import type { Service } from "../../shared/service.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import { OidcTokens } from "./oidc-tokens.ts";
import { StaticTokens } from "./static-tokens.ts";
import { Refusal, type Verdict, type Verified } from "./verdict.ts";

export interface AuthSettings {
  AUTH_TOKENS_FILE: string;
  OIDC_ISSUER: string;
  OIDC_AUDIENCE: string;
  OIDC_JWKS_URL: string;
  OIDC_PRINCIPAL_CLAIM: string;
}

/** Above this the longest known is forgotten, and looked at again when it comes. */
const MAX_REMEMBERED = 10_000;
const MAX_TOKEN_CHARACTERS = 8_192;
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const ANONYMOUS: Verified = { principal: "anonymous", until: Number.POSITIVE_INFINITY };

/** Tells who sends a request from its `Authorization` header. Without any setting everybody is `anonymous`. */
export class Authenticator implements Service {
  readonly #static: StaticTokens | undefined;
  readonly #oidc: OidcTokens | undefined;
  /** By the hash of the token: nobody who reads this memory finds tokens in it. */
  readonly #remembered = new Map<string, Verified>();
  readonly #underWay = new Map<string, Promise<Verdict>>();
  /** Counts changes after which nothing may be remembered that began before. */
  #generation = 0;

  constructor(
    private readonly settings: AuthSettings,
    private readonly log: Logger,
  ) {
    const { AUTH_TOKENS_FILE: file, OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience, OIDC_JWKS_URL: jwksUrl } = settings;
    this.#static = file ? new StaticTokens(file, () => this.#forget(), log) : undefined;
    const options = { issuer, audience, principalClaim: settings.OIDC_PRINCIPAL_CLAIM };
    this.#oidc = issuer ? new OidcTokens(new IssuerKeys(issuer, jwksUrl, log), options) : undefined;
  }

  get isOn(): boolean {
    return this.#static !== undefined || this.#oidc !== undefined;
  }

  /** @throws {ConfigError} when the token file cannot be read or is no good */
  async start(): Promise<void> {
    await this.#static?.start();
    const { AUTH_TOKENS_FILE: file, OIDC_ISSUER: issuer } = this.settings;
    if (this.isOn) this.log.info({ file, tokens: this.#static?.size, issuer }, "authentication is on");
    else this.log.warn("authentication is off: everybody who reaches this address is the principal anonymous");
    if ([issuer, this.settings.OIDC_JWKS_URL].some((url) => url.startsWith("http:")))
      this.log.warn({ issuer }, "the issuer's keys come over plain HTTP: whoever stands between can sign tokens");
  }

  async stop(): Promise<void> {
    await this.#static?.stop();
  }

  /** Answers at once for a token that is known. Never rejects. */
  check(authorization: string | undefined): Verdict | Promise<Verdict> {
    if (!this.isOn) return ANONYMOUS;
    if (authorization === undefined) return Refusal.noToken;
    const token = BEARER.exec(authorization)?.[1];
    if (!token || token.length > MAX_TOKEN_CHARACTERS) return Refusal.malformed;
    const name = hash("sha256", token, "base64");
    const known = this.#remembered.get(name);
    if (known && Date.now() < known.until) return known;
    return this.#underWay.get(name) ?? this.#verify(name, token);
  }

  #verify(name: string, token: string): Promise<Verdict> {
    const generation = this.#generation;
    const verdict = this.#decide(token).then((decided) => {
      if (!(decided instanceof Refusal) && generation === this.#generation) this.#remember(name, decided);
      return decided;
    });
    this.#underWay.set(name, verdict);
    void verdict.finally(() => this.#underWay.get(name) === verdict && this.#underWay.delete(name));
    return verdict;
  }

  async #decide(token: string): Promise<Verdict> {
    try {
      const verdict = this.#static?.verify(token) ?? this.#oidc?.verify(token);
      return (await verdict) ?? Refusal.invalid("The token is none that this server takes");
    } catch (err) {
      this.log.error({ err }, "a token could not be looked at"); // fails closed
      return Refusal.later("The token could not be looked at; try again in a moment");
    }
  }

  #remember(name: string, verified: Verified): void {
    this.#remembered.delete(name);
    this.#remembered.set(name, verified);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }

  #forget(): void {
    this.#generation++;
    this.#remembered.clear();
    this.#underWay.clear();
  }
}
