import { type FileHandle, writeFile } from "node:fs/promises";
import { Turnstile } from "../checkpoint/turnstile.ts";
import type { CachedFiles } from "./cached-files.ts";
import { NPM_ACCEPT, npmFile, npmPage, parsePackage } from "./npm-registry.ts";
import { PIP_ACCEPT, pipFiles, pipPage } from "./pip-index.ts";
import { type Digest, type Upstream, UpstreamError } from "./upstream.ts";

/** How old what an index says of a package may be. */
const PAGE_MAX_AGE_MS = 60_000;
/** That are held in memory, and files that are fetched, at a time. */
const PAGES_AT_ONCE = 4;
const FILES_AT_ONCE = 8;
const PIP_PATH = /^\/pip\/([A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?)\/([^/]*)$/;
const NPM_PATH = /^\/npm\/((?:@[\w~][\w.~-]{0,200}\/)?[\w~][\w.~-]{0,200})(?:\/-\/([^/]+))?$/;

export interface Answer {
  type: string;
  /** Whoever gets a file closes it. */
  body: string | FileHandle;
}

interface Page {
  url: string;
  body: Buffer;
}

/** What the indexes offer, by the paths that pip and npm ask for. */
export class IndexedPackages {
  readonly #pages = new Turnstile(PAGES_AT_ONCE);
  readonly #fetches = new Turnstile(FILES_AT_ONCE);

  constructor(
    private readonly files: CachedFiles,
    private readonly upstreams: { pip?: Upstream | undefined; npm?: Upstream | undefined },
  ) {}

  /** @param ownUrl what our own links begin with. @throws {UpstreamError} */
  async find(requested: string, ownUrl: string): Promise<Answer> {
    const path = decoded(requested.split("?")[0]!);
    const [, project, file] = PIP_PATH.exec(path) ?? [];
    if (project !== undefined && this.upstreams.pip)
      return await this.#findPip(this.upstreams.pip, project, file ?? "");
    const [, name, tarball] = NPM_PATH.exec(path) ?? [];
    if (name !== undefined && this.upstreams.npm) return await this.#findNpm(this.upstreams.npm, name, tarball, ownUrl);
    throw new UpstreamError(404, "There is nothing of that name");
  }

  async #findPip(upstream: Upstream, rawName: string, name: string): Promise<Answer> {
    const project = rawName.toLowerCase().replace(/[-_.]+/g, "-");
    const files = await this.#page(upstream, upstream.url(`${project}/`), PIP_ACCEPT, ({ body, url }) =>
      pipFiles(body.toString(), url),
    );
    if (name === "") return { type: "text/html; charset=utf-8", body: pipPage(project, files) };
    const found = files.find((file) => file.name === name);
    if (!found) throw new UpstreamError(404, `${project} has no file ${name}`);
    return { type: "application/octet-stream", body: await this.#file(upstream, found.url, found.digest) };
  }

  async #findNpm(upstream: Upstream, name: string, tarball: string | undefined, ownUrl: string): Promise<Answer> {
    const url = upstream.url(name.replace("/", "%2f"));
    if (tarball === undefined) {
      const toOurs = ({ body }: Page): string => npmPage(parsePackage(body), `${ownUrl}/npm/${name}/-/`);
      return { type: "application/json", body: await this.#page(upstream, url, NPM_ACCEPT, toOurs) };
    }
    const file = await this.#page(upstream, url, NPM_ACCEPT, ({ body }) => npmFile(parsePackage(body), tarball));
    if (!file) throw new UpstreamError(404, `${name} has no file ${tarball}`);
    return { type: "application/octet-stream", body: await this.#file(upstream, file.url, file.digest) };
  }

  async #file(upstream: Upstream, url: URL, digest: Digest | undefined): Promise<FileHandle> {
    const key = `file ${url.href} ${digest?.algorithm}:${digest?.hex}`;
    const limitBytes = this.files.limitBytes / 4;
    const fill = (path: string): Promise<void> =>
      this.#fetches.pass(() => upstream.file(url, digest, limitBytes, path));
    return await this.files.open(key, fill);
  }

  /** @param read makes what it needs of a page, which may be large */
  async #page<T>(upstream: Upstream, url: URL, accept: string, read: (page: Page) => T): Promise<T> {
    return await this.#pages.pass(async () => read(await this.#latestPage(upstream, url, accept)));
  }

  /** What an index said lately, as it said it, behind a line with the URL that it said it at. */
  async #latestPage(upstream: Upstream, url: URL, accept: string): Promise<Page> {
    const fill = async (path: string): Promise<void> => {
      const page = await upstream.page(url, accept);
      await writeFile(path, Buffer.concat([Buffer.from(`${page.url}\n`), page.body]));
    };
    const file = await this.files.open(`page ${url.href}`, fill, PAGE_MAX_AGE_MS);
    try {
      const content = await file.readFile();
      const end = content.indexOf("\n");
      return { url: content.subarray(0, end).toString(), body: content.subarray(end + 1) };
    } finally {
      await file.close();
    }
  }
}

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
};
