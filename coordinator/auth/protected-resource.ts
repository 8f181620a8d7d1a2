import type { Refusal } from "./verdict.ts";

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** What RFC 9728 lets clients know of this server: where the tokens come from that it takes. */
export class ProtectedResource {
  /** The paths that it is told at. */
  static readonly PATHS = [WELL_KNOWN, `${WELL_KNOWN}/mcp`];

  constructor(private readonly options: { publicUrl: () => string; issuer: string }) {}

  /** @param path one of `PATHS`: what follows the well-known part is the resource's own path */
  metadata(path: string): Record<string, unknown> {
    const { publicUrl, issuer } = this.options;
    return {
      resource: `${publicUrl()}${path.slice(WELL_KNOWN.length)}`,
      ...(issuer ? { authorization_servers: [issuer] } : {}),
      bearer_methods_supported: ["header"],
      resource_name: "codegen-mcp",
    };
  }

  /** The value of `WWW-Authenticate`. */
  challenge({ error, why }: Refusal): string {
    const parameters = [`resource_metadata="${this.options.publicUrl()}${WELL_KNOWN}/mcp"`];
    if (error) parameters.push(`error="${error}"`, `error_description="${why}"`);
    return `Bearer ${parameters.join(", ")}`;
  }
}
