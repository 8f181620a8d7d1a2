import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type FlattenedJWSInput,
  type JWKSCacheInput,
  type JWSHeaderParameters,
  jwksCache,
  type RemoteJWKSet,
} from "jose";
import type { Logger } from "pino";

/** An issuer that does not answer is given up after this. */
const TIMEOUT_MS = 3_000;
/** Nobody waits for an issuer that failed so recently. */
const PAUSE_MS = 1_000;
/** A key that is not known makes us ask again no more often than this. */
const COOLDOWN_MS = 30_000;
/** Keys are asked for anew when they are this old, and while that fails they are good for so long. */
const MAX_AGE_MS = 600_000;
const MAX_STALE_MS = 3_600_000;

/** The issuer's keys cannot be had now: nothing is known about a token. */
export class KeysUnavailable extends Error {
  override readonly name = "KeysUnavailable";
}

/** The keys that an issuer signs with. Asked for when the first token comes, kept, and asked for again as they age. */
export class IssuerKeys {
  #remote: RemoteJWKSet | undefined;
  #discovering: Promise<RemoteJWKSet> | undefined;
  readonly #cache: JWKSCacheInput = {};
  #failedAt = Number.NEGATIVE_INFINITY;
  #isAway = false;

  /** @param url of the key set; "" to ask the issuer where it is */
  constructor(
    private readonly issuer: string,
    private readonly url: string,
    private readonly log: Logger,
  ) {}

  /** The key that a token says it is signed with. @throws {KeysUnavailable} @throws {errors.JOSEError} when there is none */
  readonly find = async (header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
    const isPausing = performance.now() - this.#failedAt < PAUSE_MS;
    if (isPausing && !this.#remote?.fresh) return await this.#stale(header, token);
    try {
      const remote = this.#remote ?? (await this.#open());
      const key = await remote(header, token);
      if (this.#isAway) this.log.info({ issuer: this.issuer }, "the issuer's keys can be had again");
      this.#isAway = false;
      return key;
    } catch (err) {
      if (err instanceof errors.JWKSNoMatchingKey || err instanceof errors.JWKSMultipleMatchingKeys) throw err;
      if (!this.#isAway) this.log.error({ err, issuer: this.issuer }, "the issuer's keys cannot be had");
      this.#isAway = true;
      this.#failedAt = performance.now();
      return await this.#stale(header, token);
    }
  };

  async #stale(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const { uat = 0, jwks } = this.#cache;
    const unavailable = new KeysUnavailable("The issuer's keys cannot be had now");
    if (!jwks || Date.now() - uat > MAX_STALE_MS) throw unavailable;
    return await createLocalJWKSet(jwks)(header, token).catch((err: unknown) => {
      throw err instanceof errors.JWKSNoMatchingKey ? unavailable : err; // it may be a new one
    });
  }

  async #open(): Promise<RemoteJWKSet> {
    this.#discovering ??= this.#discover().finally(() => {
      this.#discovering = undefined;
    });
    this.#remote = await this.#discovering;
    return this.#remote;
  }

  async #discover(): Promise<RemoteJWKSet> {
    return createRemoteJWKSet(new URL(this.url || (await this.#asIssuerSays())), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: COOLDOWN_MS,
      cacheMaxAge: MAX_AGE_MS,
      [jwksCache]: this.#cache,
    });
  }

  async #asIssuerSays(): Promise<string> {
    const url = `${this.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
    const { issuer, jwks_uri: keys } = (await answer.json()) as { issuer?: unknown; jwks_uri?: unknown };
    if (issuer !== this.issuer) throw new Error(`${url} is another issuer's`);
    if (typeof keys !== "string") throw new Error(`${url} names no jwks_uri`);
    return keys;
  }
}
