import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { siteCertificate } from "./certificates.ts";

/** A host of the internet, `site.example` and all below it, on this machine's loopback address. */
export class TlsSite {
  /** What it was asked, in order. */
  readonly requests: { host: string; path: string; headers: IncomingMessage["headers"] }[] = [];

  private constructor(
    private readonly server: Server,
    answer: (request: IncomingMessage, response: ServerResponse, site: TlsSite) => void,
  ) {
    server.on("request", (request, response) => {
      const { headers, url = "" } = request;
      this.requests.push({ host: headers.host ?? "", path: url, headers });
      answer(request, response, this);
    });
  }

  static async start(
    answer: (request: IncomingMessage, response: ServerResponse, site: TlsSite) => void,
  ): Promise<TlsSite> {
    const server = createServer(siteCertificate);
    const site = new TlsSite(server, answer);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    return site;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Of `name.site.example`. */
  url(name = "www"): string {
    return `https://${name}.site.example:${this.port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => void this.server.close(resolve));
  }
}
