import { createHash, getHashes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Of a page that tells of a package's versions. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;
const PAGE_TIMEOUT_MS = 60_000;
const FILE_TIMEOUT_MS = 900_000;

/** The index did not give what was asked for. `status` is what the session is answered. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  constructor(
    readonly status: 404 | 502,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What an index says that a file's bytes amount to. */
export interface Digest {
  algorithm: string;
  hex: string;
}

/** One package index of the operator; its URL may hold credentials, which go to it alone. */
export class Upstream {
  readonly #base: URL;
  readonly #authorization: string | undefined;

  constructor(base: string) {
    this.#base = new URL(base.endsWith("/") ? base : `${base}/`);
    const { username, password } = this.#base;
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#authorization = username ? `Basic ${Buffer.from(credentials).toString("base64")}` : undefined;
    this.#base.username = "";
    this.#base.password = "";
  }

  url(path: string): URL {
    return new URL(path, this.#base);
  }

  /** @returns the page and where it was found, which its links are relative to. @throws {UpstreamError} */
  async page(url: URL, accept: string): Promise<{ url: string; body: Buffer }> {
    const response = await this.#get(url, accept, PAGE_TIMEOUT_MS);
    const parts: Uint8Array[] = [];
    await this.#read(response, async (stream) => {
      await pipeline(stream, bounded(MAX_PAGE_BYTES), async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) parts.push(chunk);
      });
    });
    return { url: response.url, body: Buffer.concat(parts) };
  }

  /** Writes a file, and rejects unless it is whole and what the index says it is. @throws {UpstreamError} */
  async file(url: URL, digest: Digest | undefined, limitBytes: number, path: string): Promise<void> {
    const response = await this.#get(url, "*/*", FILE_TIMEOUT_MS);
    const hash = digest && createHash(digest.algorithm);
    const hashing = new Transform({
      transform: (chunk, _encoding, done) => {
        hash?.update(chunk);
        done(null, chunk);
      },
    });
    await this.#read(response, async (stream) => {
      await pipeline(stream, bounded(limitBytes), hashing, createWriteStream(path, { flags: "wx" }));
    });
    const found = hash?.digest("hex");
    if (found !== digest?.hex)
      throw new UpstreamError(502, `${url.pathname} has ${digest?.algorithm} ${found}, not ${digest?.hex}`);
  }

  async #get(url: URL, accept: string, timeoutMs: number): Promise<Response> {
    if (!/^https?:$/.test(url.protocol)) throw new UpstreamError(502, `"${url.protocol}" is no way to get a package`);
    const isOwn = url.origin === this.#base.origin;
    const headers = {
      accept,
      "accept-encoding": accept === "*/*" ? "identity" : "gzip",
      ...(isOwn && this.#authorization ? { authorization: this.#authorization } : {}),
    };
    let response: Response;
    try {
      response = await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
    } catch (cause) {
      throw new UpstreamError(502, `The package index at ${url.host} cannot be reached`, { cause });
    }
    if (response.ok) return response;
    await response.body?.cancel();
    const isMissing = response.status === 404 || response.status === 410;
    throw new UpstreamError(isMissing ? 404 : 502, `The package index answered ${response.status} for ${url.pathname}`);
  }

  async #read(response: Response, into: (stream: Readable) => Promise<void>): Promise<void> {
    try {
      await into(
        response.body ? Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]) : Readable.from([]),
      );
    } catch (cause) {
      if (cause instanceof UpstreamError) throw cause;
      throw new UpstreamError(502, `The package index broke off: ${(cause as Error).message}`, { cause });
    }
  }
}

const bounded = (limitBytes: number): Transform => {
  let bytes = 0;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length;
      done(bytes > limitBytes ? new UpstreamError(502, `The index sent more than ${limitBytes} bytes`) : null, chunk);
    },
  });
};

const known = new Set(getHashes());
/** Undefined where it is none that can be checked. */
export const toDigest = (algorithm: string, hex: string): Digest | undefined =>
  known.has(algorithm) && /^[0-9a-f]{32,128}$/i.test(hex) ? { algorithm, hex: hex.toLowerCase() } : undefined;

/** Undefined for what is none. */
export const parseUrl = (text: string, base?: string): URL | undefined => {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
};
