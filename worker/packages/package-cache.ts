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
  /** By which sessions reach it, through the proxy. */
  name: string;
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
  #server: Server | undefined;
  #environment: Promise<Record<string, string>> | undefined;

  /** @param deps.offer lets sessions with egress reach a port of this host's loopback address by a name */
  constructor(
    private readonly deps: { offer: (name: string, port: number) => void; log: Logger },
    private readonly options: PackageCacheOptions,
  ) {
    this.#files = new CachedFiles(options.folder, options.limitBytes, deps.log);
  }

  /** Idempotent. Returns at once. */
  start(): void {
    this.#environment ??= this.#listen().catch((err: unknown) => {
      this.deps.log.warn({ err }, "no package cache: sessions ask the indexes that their own tools know");
      return {};
    });
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    await this.#environment;
    this.#environment = undefined;
    await this.#close();
  }

  /** What tells the package managers of a session to come here; nothing where this does not listen. */
  async environment(): Promise<Record<string, string>> {
    return (await this.#environment) ?? {};
  }

  async #listen(): Promise<Record<string, string>> {
    const { name, pipIndexUrl, npmRegistryUrl } = this.options;
    const [pip, npm] = await Promise.all([pipIndexUrl ?? hostPipIndex(), npmRegistryUrl ?? hostNpmRegistry()]);
    const toUpstream = (url: string | undefined): Upstream | undefined => (url ? new Upstream(url) : undefined);
    const packages = new IndexedPackages(this.#files, { pip: toUpstream(pip), npm: toUpstream(npm) });
    let url = "";
    const server = createServer((request, response) => void this.#serve(packages, url, request, response));
    server.maxConnections = MAX_CONNECTIONS;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    url = `http://${name}:${port}`;
    this.deps.offer(name, port);
    this.deps.log.info({ url, pip: pip !== undefined, npm: npm !== undefined }, "package cache listens");
    return {
      ...(pip ? { PIP_INDEX_URL: `${url}/pip/`, PIP_TRUSTED_HOST: name, PIP_DEFAULT_TIMEOUT: PIP_TIMEOUT_S } : {}),
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
