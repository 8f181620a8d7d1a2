import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Logger } from "pino";
import type { Service } from "../../shared/service.ts";
import { CachedFiles } from "./cached-files.ts";
import { type Answer, IndexedPackages } from "./indexed-packages.ts";
import { Upstream, UpstreamError } from "./upstream.ts";
import { hostNpmRegistry, hostPipIndex } from "./upstream-defaults.ts";

const MAX_CONNECTIONS = 512;
/** A wheel is handed out once it is here whole: until then pip hears nothing. */
const PIP_TIMEOUT_S = "300";

export interface PackageCacheOptions {
  folder: string;
  limitBytes: number;
  /** The operator's indexes; without one, that of this host's own package manager. */
  pipIndexUrl: string | undefined;
  npmRegistryUrl: string | undefined;
}

/**
 * Lets sessions with egress get packages from the operator's indexes, each file once. They can only read: whatever they
 * name is looked up in the index, and what the index says is checked before anyone gets it.
 */
export class PackageCache implements Service {
  readonly #files: CachedFiles;
  #isStarted = false;
  #server: Server | undefined;
  #environment: Promise<Record<string, string>> = Promise.resolve({});
  #gateway = "";

  /** @param deps.host says at which address sessions with egress reach this host, once it knows */
  constructor(
    private readonly deps: {
      host: { readonly gateway: string | undefined; whenAvailable(onAvailable: () => void): void };
      log: Logger;
    },
    private readonly options: PackageCacheOptions,
  ) {
    this.#files = new CachedFiles(options.folder, options.limitBytes, deps.log);
    deps.host.whenAvailable(() => this.#follow());
  }

  /** Idempotent. Returns at once; it listens when the sessions' network is there. */
  start(): void {
    this.#isStarted = true;
    this.#follow();
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#environment;
    await this.#close();
  }

  /** What tells the package managers of a session to come here; nothing where this cannot listen. */
  async environment(): Promise<Record<string, string>> {
    this.#follow(); // the network may have been made anew
    return await this.#environment;
  }

  #follow(): void {
    const { gateway } = this.deps.host;
    if (!this.#isStarted || !gateway || gateway === this.#gateway) return;
    this.#gateway = gateway;
    this.#environment = this.#environment
      .then(() => this.#listen(gateway))
      .catch((err: unknown) => {
        this.deps.log.warn({ err, gateway }, "no package cache: sessions ask the indexes that their own tools know");
        return {};
      });
  }

  async #listen(gateway: string): Promise<Record<string, string>> {
    await this.#close();
    const { pipIndexUrl, npmRegistryUrl } = this.options;
    const [pip, npm] = await Promise.all([pipIndexUrl ?? hostPipIndex(), npmRegistryUrl ?? hostNpmRegistry()]);
    const toUpstream = (url: string | undefined): Upstream | undefined => (url ? new Upstream(url) : undefined);
    const packages = new IndexedPackages(this.#files, { pip: toUpstream(pip), npm: toUpstream(npm) });
    let url = "";
    const server = createServer((request, response) => void this.#serve(packages, url, request, response));
    server.maxConnections = MAX_CONNECTIONS;
    server.listen(0, gateway);
    await once(server, "listening");
    this.#server = server;
    url = `http://${gateway}:${(server.address() as AddressInfo).port}`;
    this.deps.log.info({ url, pip: pip !== undefined, npm: npm !== undefined }, "package cache listens");
    return {
      ...(pip ? { PIP_INDEX_URL: `${url}/pip/`, PIP_TRUSTED_HOST: gateway, PIP_DEFAULT_TIMEOUT: PIP_TIMEOUT_S } : {}),
      // A lock file that named this address would be of no use anywhere else.
      ...(npm ? { npm_config_registry: `${url}/npm/`, npm_config_omit_lockfile_registry_resolved: "true" } : {}),
    };
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async #serve(
    packages: IndexedPackages,
    ownUrl: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    try {
      if (request.method !== "GET" && request.method !== "HEAD") {
        response
          .writeHead(405, { allow: "GET, HEAD", connection: "close" })
          .end("The package cache can only be read.\n");
        return;
      }
      const answer = await packages.find(request.url ?? "/", ownUrl);
      await this.#send(answer, request.method, response);
    } catch (error) {
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      const isUpstream = error instanceof UpstreamError;
      if (!isUpstream || error.status !== 404)
        this.deps.log.warn({ err: error, path: request.url }, "a package was not served");
      const why = isUpstream ? error.message : "The package cache failed";
      const phrase = why.replace(/[^ -~]/g, "?").slice(0, 300); // pip and npm repeat it
      response.writeHead(isUpstream ? error.status : 500, phrase, { "content-type": "text/plain" }).end(`${why}\n`);
    }
  }

  async #send({ type, body }: Answer, method: string, response: ServerResponse): Promise<void> {
    if (typeof body === "string") {
      const length = Buffer.byteLength(body);
      response.writeHead(200, { "content-type": type, "content-length": length }).end(method === "HEAD" ? "" : body);
      return;
    }
    try {
      const { size } = await body.stat();
      response.writeHead(200, { "content-type": type, "content-length": size });
      if (method === "HEAD") response.end();
      else await pipeline(body.createReadStream({ autoClose: false }), response);
    } finally {
      await body.close();
    }
  }
}
