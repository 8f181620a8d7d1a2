import { z } from "zod";

/** A secret that an operator registers, as `EGRESS_FILE` has it. */
export const EgressSecret = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
  /** `NAME`, on port 443 (without TLS 80), or `NAME:PORT`. */
  hosts: z
    .array(z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$/, "must be NAME or NAME:PORT"))
    .min(1)
    .max(100),
  header: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/)
    .default("Authorization"),
  value_file: z.string().min(1),
  /** What the header says; `{}` is the value. */
  format: z
    .string()
    .max(200)
    .regex(/^[\x20-\x7e]*\{\}[\x20-\x7e]*$/, "must hold {}")
    .default("{}"),
  /** Put it also into requests without TLS, where everybody on the way can read it. */
  plain_http: z.boolean().default(false),
});

export type HostSecret = z.output<typeof EgressSecret> & { value: string };

export type Headers = Record<string, string | string[] | undefined>;

/** What a host is sent of a secret. */
const headerOf = ({ header, format, value }: HostSecret): [name: string, value: string] => [
  header.toLowerCase(),
  format.replace("{}", () => value), // a function: the value's own $ means nothing
];

/** Headers, by names in lower case, with the secrets in place of what stands there. */
export const withSecrets = (headers: Headers, secrets: readonly HostSecret[]): Headers => ({
  ...headers,
  ...Object.fromEntries(secrets.map(headerOf)),
});

/** The same for names and values in turn, in place. */
export const putSecrets = (rawHeaders: string[], secrets: readonly HostSecret[]): void => {
  for (const secret of secrets) {
    const [name, value] = headerOf(secret);
    for (let i = rawHeaders.length - 2; i >= 0; i -= 2)
      if (rawHeaders[i]!.toLowerCase() === name) rawHeaders.splice(i, 2);
    rawHeaders.push(name, value);
  }
};
