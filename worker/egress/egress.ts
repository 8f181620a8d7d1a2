import type { Socket } from "node:net";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { EgressAuthority } from "./egress-authority.ts";
import { EgressJudge } from "./egress-judge.ts";
import { type EgressMetrics, EgressProxy } from "./egress-proxy.ts";
import type { EgressRules } from "./egress-rules.ts";
import { TRUST_ENVIRONMENT, trustFiles } from "./egress-trust.ts";
import { PROXY_ENVIRONMENT } from "./proxy-environment.ts";
import { SecretInjector } from "./secret-injector.ts";

const MISSED_EVERY_MS = 60_000;

/** The way out of a worker's sessions: the proxy, and what their containers are given to use it. */
export class Egress {
  readonly #proxy: EgressProxy;
  #authority: Promise<EgressAuthority> | undefined;
  #missedAtMs = -MISSED_EVERY_MS;

  constructor(
    private readonly deps: { redis: Redis; metrics: EgressMetrics; log: Logger },
    private readonly rules: EgressRules,
  ) {
    const leafFor = async (name: string) => await (await this.#openAuthority()).leafFor(name);
    const injector = new SecretInjector(leafFor, rules.ownCertificates);
    this.#proxy = new EgressProxy({ ...deps, rules, judge: new EgressJudge(rules), injector });
  }

  /** See `EgressProxy`. */
  take(socket: Socket, principal: string): void {
    this.#proxy.take(socket, principal);
  }

  /** Says, once a minute, that a connection of a session could not be accepted. */
  missed(err: Error): void {
    if (performance.now() - this.#missedAtMs < MISSED_EVERY_MS) return;
    this.#missedAtMs = performance.now();
    this.deps.log.warn({ err }, "a session's connection to the proxy was not accepted");
  }

  /** See `EgressProxy`. */
  offer(name: string, port: number): void {
    this.#proxy.offer(name, port);
  }

  /** What the containers of a principal's sessions have beside the socket, by name. */
  async filesFor(principal: string): Promise<Map<string, string>> {
    const { ownCertificates } = this.rules;
    if (!this.#needsTrust(principal)) return new Map();
    const own = ownCertificates ? [ownCertificates] : [];
    const isSigned = this.rules.secretsOf(principal).length > 0;
    return trustFiles(isSigned ? [...own, (await this.#openAuthority()).certificate] : own);
  }

  environmentFor(principal: string): Record<string, string> {
    return { ...PROXY_ENVIRONMENT, ...(this.#needsTrust(principal) ? TRUST_ENVIRONMENT : {}) };
  }

  #needsTrust(principal: string): boolean {
    return this.rules.ownCertificates !== "" || this.rules.secretsOf(principal).length > 0;
  }

  /** Only where it is needed: its library takes 0.2 s to load, and 22 MB. */
  #openAuthority(): Promise<EgressAuthority> {
    this.#authority ??= import("./egress-authority.ts")
      .then(({ EgressAuthority }) => EgressAuthority.open(this.deps.redis))
      .catch((error: unknown) => {
        this.#authority = undefined; // the next one tries again
        throw error;
      });
    return this.#authority;
  }
}
