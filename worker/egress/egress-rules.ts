import { readFileSync } from "node:fs";
import { z } from "zod";
import { ConfigError } from "../../shared/config.ts";

/** Where packages and sources come from. */
export const DEFAULT_ALLOW = [
  ...["pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "registry.yarnpkg.com", "nodejs.org"],
  ...["crates.io", "index.crates.io", "static.crates.io", "proxy.golang.org", "sum.golang.org", "rubygems.org"],
  ...["repo.maven.apache.org", "repo1.maven.org", "deb.debian.org"],
  ...["github.com", "*.github.com", "*.githubusercontent.com", "gitlab.com", "bitbucket.org", "codeberg.org"],
];
const DEFAULT_PORTS = new Set([80, 443]);

const pattern = z
  .string()
  .regex(/^(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*)(:\d{1,5})?$/, "must be NAME, *.NAME, or * with :PORT");
const File = z.strictObject({
  /** Names that sessions reach, on ports 80 and 443 unless one is named; `*.example.org` is all below, `*` all. */
  allow: z.array(pattern).max(10_000).default(DEFAULT_ALLOW),
  /** Addresses of names that are not asked of DNS, and may be private: the operator's own hosts. They must be allowed as well. */
  hosts: z.record(z.string(), z.union([z.ipv4(), z.ipv6()])).default({}),
  /** Lists of single principals, instead of the common one. */
  principals: z.record(z.string(), z.strictObject({ allow: z.array(pattern).max(10_000) })).default({}),
});

/** Which names a principal's sessions may reach. */
export class EgressRules {
  private constructor(private readonly file: z.infer<typeof File>) {}

  /**
   * @param path of a JSON file; without one, the default list
   * @throws {ConfigError} when it cannot be read or is malformed
   */
  static read(path: string | undefined): EgressRules {
    try {
      return EgressRules.of(path === undefined ? {} : JSON.parse(readFileSync(path, "utf8")));
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
      throw new ConfigError(`EGRESS_FILE: "${path}" cannot be used: ${why}`, { cause });
    }
  }

  static of(rules: z.input<typeof File>): EgressRules {
    return new EgressRules(File.parse(rules));
  }

  /** @param name in lower case, without a dot at its end */
  allows(principal: string, name: string, port: number): boolean {
    const { allow, principals } = this.file;
    const own = Object.hasOwn(principals, principal) ? principals[principal] : undefined;
    return (own?.allow ?? allow).some((one) => matches(one, name, port));
  }

  /** The operator's word for where a name is. */
  addressOf(name: string): string | undefined {
    return Object.hasOwn(this.file.hosts, name) ? this.file.hosts[name] : undefined;
  }
}

const matches = (one: string, name: string, port: number): boolean => {
  const [host = "", own] = one.split(":");
  if (own === undefined ? !DEFAULT_PORTS.has(port) : Number(own) !== port) return false;
  if (host === "*") return true;
  return host.startsWith("*.") ? name.endsWith(host.slice(1)) && name.length > host.length - 1 : name === host;
};
