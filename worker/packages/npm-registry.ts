import { type Digest, parseUrl, toDigest, UpstreamError } from "./upstream.ts";

/** What installing needs of a package, much less than all that a registry knows of it. */
export const NPM_ACCEPT = "application/vnd.npm.install-v1+json, application/json;q=0.8";

interface Version {
  dist?: { tarball?: unknown; integrity?: unknown; shasum?: unknown };
}
interface Package {
  versions?: Record<string, Version | null>;
}

export interface NpmFile {
  url: URL;
  digest: Digest | undefined;
}

/** @throws {UpstreamError} for what is no description of a package */
export const parsePackage = (body: Buffer): Package => {
  try {
    const parsed = JSON.parse(body.toString()) as Package | null;
    if (parsed && typeof parsed === "object" && typeof (parsed.versions ?? {}) === "object") return parsed;
  } catch {
    // the same as another kind of answer
  }
  throw new UpstreamError(502, "The npm registry did not answer with a package's versions");
};

const fileName = (tarball: unknown): string | undefined =>
  typeof tarball === "string" ? parseUrl(tarball)?.pathname.split("/").at(-1) || undefined : undefined;

/** @param base where the files of this package are here, with a slash at its end */
export const npmPage = (found: Package, base: string): string => {
  for (const version of Object.values(found.versions ?? {})) {
    const name = fileName(version?.dist?.tarball);
    if (version?.dist && name) version.dist.tarball = `${base}${name}`;
  }
  return JSON.stringify(found);
};

/** The file of this name, if a version of the package has it. */
export const npmFile = (found: Package, name: string): NpmFile | undefined => {
  for (const version of Object.values(found.versions ?? {})) {
    const { tarball, integrity, shasum } = version?.dist ?? {};
    if (fileName(tarball) === name) return { url: new URL(String(tarball)), digest: digestOf(integrity, shasum) };
  }
  return undefined;
};

/** The strongest hash that can be checked. */
const digestOf = (integrity: unknown, shasum: unknown): Digest | undefined => {
  const given = typeof integrity === "string" ? integrity.trim().split(/\s+/) : [];
  for (const algorithm of ["sha512", "sha384", "sha256", "sha1"]) {
    const found = given.find((one) => one.startsWith(`${algorithm}-`));
    const hex = found && Buffer.from(found.slice(algorithm.length + 1).split("?")[0]!, "base64").toString("hex");
    if (hex) return toDigest(algorithm, hex);
  }
  return typeof shasum === "string" ? toDigest("sha1", shasum) : undefined;
};
