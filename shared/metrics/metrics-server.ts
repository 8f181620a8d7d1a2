import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import type { Service } from "../service.ts";

/** A port of its own for Prometheus: nobody who may call tools can read it thereby, and no token is needed to scrape. */
export class MetricsServer implements Service {
  #server: Server | undefined;
  #scrape: Promise<string> | undefined;

  constructor(
    private readonly registry: Registry,
    /** Without a port nothing listens; 0 takes any that is free. */
    private readonly options: { host: string; port: number | undefined },
  ) {}

  /** Such as `http://127.0.0.1:9464/metrics`; undefined when nothing listens. */
  get url(): string | undefined {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    if (!address) return undefined;
    return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}/metrics`;
  }

  /** Idempotent. @throws when the port is taken */
  async start(): Promise<void> {
    const { host, port } = this.options;
    if (port === undefined || this.#server) return;
    this.#server = createServer((request, response) => {
      if (request.url === "/healthz") {
        response.end("ok"); // for health checks of processes that listen nowhere else
        return;
      }
      if (request.method !== "GET" || request.url !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      this.#text().then(
        (text) => response.writeHead(200, { "content-type": this.registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    });
    this.#server.listen(port, host);
    await once(this.#server, "listening");
    this.#server.unref();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Scrapes that come while one is under way share it: what they ask for costs no more than one. */
  async #text(): Promise<string> {
    this.#scrape ??= this.registry.metrics().finally(() => {
      this.#scrape = undefined;
    });
    return await this.#scrape;
  }
}
