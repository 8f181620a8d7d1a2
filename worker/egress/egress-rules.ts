import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "../../shared/config.ts";
import { EgressSecret, type HostSecret } from "./egress-secret.ts";

/** Where sources come from. Packages of pip and npm come by the worker's cache, from the indexes that it was given. */
export const DEFAULT_ALLOW = [
  ...["github.com", "*.github.com", "*.githubusercontent.com", "gitlab.com", "bitbucket.org", "codeberg.org"],
];
const DEFAULT_PORTS = new Set([80, 443]);

const pattern = z
  .string()
  .regex(/^(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*)(:\d{1,5})?$/, "must be NAME, *.NAME, or * with :PORT");
const allow = z.array(pattern).max(10_000);
const secrets = z.array(EgressSecret).max(100);
const File = z.strictObject({
  /** Names that sessions reach, on ports 80 and 443 unless one is named; `*.example.org` is all below, `*` all. */
  allow: allow.default(DEFAULT_ALLOW),
  /** Addresses of names that are not asked of DNS, and may be private: the operator's own hosts. They must be allowed as well. */
  hosts: z.record(z.string(), z.union([z.ipv4(), z.ipv6()])).default({}),
  /** What is put into requests, and that sessions do not see. */
  secrets: secrets.default([]),
  /** Certificates, beyond the usual ones, of those who sign for the operator's own hosts. */
  ca_file: z.string().min(1).optional(),
  /** Lists of single principals, each instead of the common one. */
  principals: z
    .record(z.string(), z.strictObject({ allow: allow.optional(), secrets: secrets.optional() }))
    .default({}),
});
export type EgressFile = z.input<typeof File>;

interface Lists {
  allow: string[];
  secrets: HostSecret[];
}

/** Which names a principal's sessions may reach, and what is put into their requests there. */
export class EgressRules {
  readonly #common: Lists;
  readonly #own: ReadonlyMap<string, Lists>;
  readonly #hosts: ReadonlyMap<string, string>;
  /** PEM; empty for none. */
  readonly ownCertificates: string;

  /** @param folder from which the files that are named are looked for */
  private constructor(file: z.output<typeof File>, folder: string) {
    const read = (path: string): string => readFileSync(resolve(folder, path), "utf8");
    const toSecrets = (all: z.output<typeof secrets>): HostSecret[] =>
      all.map((secret) => ({ ...secret, value: secretValue(secret.name, read(secret.value_file)) }));
    this.#common = { allow: file.allow, secrets: toSecrets(file.secrets) };
    this.#hosts = new Map(Object.entries(file.hosts).map(([name, address]) => [name.toLowerCase(), address]));
    this.ownCertificates = file.ca_file ? read(file.ca_file) : "";
    this.#own = new Map(
      Object.entries(file.principals).map(([principal, own]) => [
        principal,
        {
          allow: own.allow ?? this.#common.allow,
          secrets: own.secrets ? toSecrets(own.secrets) : this.#common.secrets,
        },
      ]),
    );
  }

  /**
   * @param path of a JSON file; without one, the default list
   * @throws {ConfigError} when it, or a file that it names, cannot be read or is malformed
   */
  static read(path: string | undefined): EgressRules {
    try {
      return path === undefined
        ? EgressRules.of({})
        : EgressRules.of(JSON.parse(readFileSync(path, "utf8")), dirname(path));
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
      throw new ConfigError(`EGRESS_FILE: "${path}" cannot be used: ${why}`, { cause });
    }
  }

  static of(rules: EgressFile, folder = "."): EgressRules {
    return new EgressRules(File.parse(rules), folder);
  }

  /** @param name in lower case, without a dot at its end */
  allows(principal: string, name: string, port: number): boolean {
    return this.#of(principal).allow.some((one) => matches(one, name, port));
  }

  /** The operator's word for where a name is. */
  addressOf(name: string): string | undefined {
    return this.#hosts.get(name);
  }

  /** What is put into requests of this principal's sessions to a host, over TLS or, where that was said, without. */
  secretsFor(principal: string, name: string, port: number, isTls: boolean): HostSecret[] {
    const { secrets } = this.#of(principal);
    return secrets.filter(({ hosts, plain_http }) => {
      const isUsual = port === (isTls ? 443 : 80);
      const isListed = hosts.some((host) => host === `${name}:${port}` || (isUsual && host === name));
      return isListed && (isTls || plain_http);
    });
  }

  /** All that are put anywhere for this principal's sessions. */
  secretsOf(principal: string): readonly HostSecret[] {
    return this.#of(principal).secrets;
  }

  #of(principal: string): Lists {
    return this.#own.get(principal) ?? this.#common;
  }
}

const matches = (one: string, name: string, port: number): boolean => {
  const [host = "", own] = one.split(":");
  if (own === undefined ? !DEFAULT_PORTS.has(port) : Number(own) !== port) return false;
  if (host === "*") return true;
  return host.startsWith("*.") ? name.endsWith(host.slice(1)) && name.length > host.length - 1 : name === host;
};

/** As it stands in its file, without the end of the line. @throws where it cannot stand in a header, or be told from other text */
const secretValue = (name: string, content: string): string => {
  const value = content.replace(/\r?\n$/, "");
  if (!/^[\x21-\x7e][\x20-\x7e]{6,4094}[\x21-\x7e]$/.test(value))
    throw new Error(`the value of "${name}" must be one line of 8 to 4,096 ASCII characters`);
  return value;
};
