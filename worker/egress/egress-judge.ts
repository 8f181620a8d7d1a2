import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import type { EgressRules } from "./egress-rules.ts";
import { isPublicAddress } from "./public-address.ts";
import { resolveName } from "./resolve-name.ts";

/** What became of a request, as it is counted. */
export type EgressVerdict = "allowed" | "not_listed" | "not_public" | "not_found";

/** Says why, and what the operator can do. */
export class EgressRefusal extends Error {
  override readonly name = "EgressRefusal";

  constructor(
    readonly verdict: Exclude<EgressVerdict, "allowed">,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Says where a request of a principal's session goes, or that it goes nowhere. A name is resolved once: who connects to
 * these addresses connects to what was checked, whatever DNS says the next time. Fails closed.
 */
export class EgressJudge {
  constructor(
    private readonly rules: EgressRules,
    private readonly resolve: (name: string) => Promise<LookupAddress[]> = resolveName,
    private readonly isPublic = isPublicAddress,
  ) {}

  /**
   * @param name in lower case, without a dot at its end; an IPv6 address stands in brackets
   * @throws {EgressRefusal}
   */
  async addresses(principal: string, name: string, port: number): Promise<LookupAddress[]> {
    const bare = name.replace(/^\[(.*)\]$/, "$1");
    const isAddress = isIP(bare) !== 0;
    if (isAddress && !this.isPublic(bare)) throw notPublic(name, port, `${bare} is not public`);
    if (!this.rules.allows(principal, name, port)) {
      const rule = port === 80 || port === 443 ? name : `${name}:${port}`;
      throw new EgressRefusal(
        "not_listed",
        `Egress to ${name}:${port} is not allowed. The operator allows it by "${rule}" under "allow" in EGRESS_FILE`,
      );
    }
    const fixed = this.rules.addressOf(name) ?? (isAddress ? bare : undefined);
    if (fixed !== undefined) return [{ address: fixed, family: isIP(fixed) }];
    const found = await this.resolve(name).catch((cause: unknown) => {
      const why = (cause as { code?: string }).code ?? "no answer";
      throw new EgressRefusal("not_found", `Egress to ${name}:${port} failed: the name cannot be resolved (${why})`);
    });
    const usable = found.filter(({ address }) => this.isPublic(address));
    if (usable.length === 0)
      throw notPublic(name, port, `${name} leads to ${found[0]?.address ?? "nothing"}, which is not public`);
    return usable;
  }
}

const notPublic = (name: string, port: number, why: string): EgressRefusal =>
  new EgressRefusal(
    "not_public",
    `Egress to ${name}:${port} is not allowed: ${why}. The operator names private addresses under "hosts" in EGRESS_FILE`,
  );
