import "reflect-metadata"; // the library's own dependency asks for it
import { randomBytes, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Redis } from "ioredis";
import { keys } from "../../shared/redis/keys.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3_650;
const LEAF_DAYS = 30;
/** Clocks of sandboxes are the host's, of which there may be several. */
const EARLIER_MS = DAY_MS;
const LEAVES_MAX = 500;
const NAME = "CN=codegen-mcp egress";

interface Leaf {
  key: string;
  cert: string;
  usableUntilMs: number;
}

/**
 * Signs for the hosts whose requests the proxy looks into. One for a deployment, its key in Redis, which is the workers' own:
 * a session that another worker goes on with trusts that one's proxy as well. No sandbox ever sees the key.
 */
export class EgressAuthority {
  readonly #leaves = new Map<string, Promise<Leaf>>();

  private constructor(
    /** PEM. */
    readonly certificate: string,
    private readonly key: webcrypto.CryptoKey,
  ) {}

  /** The deployment's, made by whoever asks first. */
  static async open(redis: Redis): Promise<EgressAuthority> {
    const found =
      (await redis.get(keys.egressAuthority)) ?? (await offer(redis, JSON.stringify(await makeAuthority())));
    const { certificate, key } = JSON.parse(found) as { certificate: string; key: string };
    const [der] = PemConverter.decode(key);
    return new EgressAuthority(
      certificate,
      await webcrypto.subtle.importKey("pkcs8", der!, ALGORITHM, false, ["sign"]),
    );
  }

  /** A key and a certificate for a host. @param name as in a URL */
  async leafFor(name: string): Promise<{ key: string; cert: string }> {
    const known = await this.#leaves.get(name);
    if (known && known.usableUntilMs > Date.now()) return known;
    const made = this.#make(name);
    this.#leaves.delete(name);
    this.#leaves.set(name, made);
    made.catch(() => this.#leaves.delete(name));
    for (const oldest of this.#leaves.keys()) {
      if (this.#leaves.size <= LEAVES_MAX) break;
      this.#leaves.delete(oldest);
    }
    return await made;
  }

  async #make(name: string): Promise<Leaf> {
    const { publicKey, privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const notAfter = Date.now() + LEAF_DAYS * DAY_MS;
    const cert = await X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: [{ CN: [name.slice(0, 64)] }],
      issuer: new X509Certificate(this.certificate).subject,
      notBefore: new Date(Date.now() - EARLIER_MS),
      notAfter: new Date(notAfter),
      signingAlgorithm: ALGORITHM,
      publicKey,
      signingKey: this.key,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
      ],
    });
    return { key: await exported(privateKey), cert: cert.toString("pem"), usableUntilMs: notAfter - EARLIER_MS };
  }
}

/** Leaves the one that stands there where another was faster. */
const offer = async (redis: Redis, made: string): Promise<string> => {
  await redis.set(keys.egressAuthority, made, "NX");
  return (await redis.get(keys.egressAuthority)) ?? made;
};

const makeAuthority = async (): Promise<{ certificate: string; key: string }> => {
  const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: NAME,
    notBefore: new Date(Date.now() - EARLIER_MS),
    notAfter: new Date(Date.now() + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys: pair,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  return { certificate: certificate.toString("pem"), key: await exported(pair.privateKey) };
};

const exported = async (key: webcrypto.CryptoKey): Promise<string> =>
  PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");

/** Positive, as it must be. */
const serial = (): string => `00${randomBytes(16).toString("hex")}`;
