import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { LookupFunction, Socket } from "node:net";
import { pipeline } from "node:stream";
import { createSecureContext, rootCertificates, type SecureContext, TLSSocket } from "node:tls";
import { type Headers, type HostSecret, withSecrets } from "./egress-secret.ts";

/** Of one hop, not of the request. */
const HOP_BY_HOP = [
  "connection",
  "expect", // answered here
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
];
const OF_THE_CONNECTION = new Set([...HOP_BY_HOP, "transfer-encoding", "upgrade"]);

/** Where a tunnel leads whose requests get secrets. */
export interface SecretHost {
  name: string;
  port: number;
  /** Leads to the addresses that were judged. */
  lookup: LookupFunction;
  secrets: readonly HostSecret[];
}

/**
 * Ends the TLS of a tunnel to a host that secrets are registered for, puts them into its requests, and sends these on over
 * TLS that is verified. A request without it never goes out, nor one to any other host. HTTP/1.1 only, no WebSockets.
 */
export class SecretInjector {
  readonly #hosts = new WeakMap<object, SecretHost & { agent: Agent }>();
  readonly #server = createServer({ requestTimeout: 0 }, (request, response) => this.#forward(request, response));
  /** Made once: to read all certificates takes 10 ms. */
  #trusted: SecureContext | undefined;

  /** @param ownCertificates PEM of those who sign for the operator's own hosts, or empty */
  constructor(
    private readonly leafFor: (name: string) => Promise<{ key: string; cert: string }>,
    private readonly ownCertificates: string,
  ) {}

  /** Makes ready to serve a tunnel to this host: what it gives takes the tunnel's socket. */
  async prepare(host: SecretHost): Promise<(socket: Socket) => void> {
    const secureContext = createSecureContext(await this.leafFor(host.name));
    return (socket) => {
      const inner = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] });
      const agent = new Agent({ keepAlive: true, maxSockets: 1, secureContext: this.#trust() });
      this.#hosts.set(inner, { ...host, agent });
      inner.on("error", () => socket.destroy()).on("close", () => agent.destroy());
      inner.once("secure", () => this.#server.emit("connection", inner));
    };
  }

  #trust(): SecureContext {
    this.#trusted ??= createSecureContext({ ca: [...rootCertificates, this.ownCertificates].filter(Boolean) });
    return this.#trusted;
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const host = this.#hosts.get(request.socket);
    if (request.method === "TRACE") refuse(response, 405, "TRACE would answer with the secret");
    else if (!host || !request.url?.startsWith("/")) refuse(response, 400, "The path must begin with /");
    else this.#send(request, response, host);
  }

  #send(request: IncomingMessage, response: ServerResponse, host: SecretHost & { agent: Agent }): void {
    const { name, port, lookup, secrets, agent } = host;
    const upstream = httpsRequest({
      host: name,
      port,
      servername: name,
      lookup,
      agent,
      method: request.method,
      path: request.url,
      headers: {
        ...withSecrets(withoutHops(request.headers), secrets),
        host: port === 443 ? name : `${name}:${port}`,
        // Without a length, a body is as long as it comes.
        ...(request.headers["transfer-encoding"] !== undefined && { "transfer-encoding": "chunked" }),
      },
    });
    upstream.on("response", (answer) => {
      try {
        response.writeHead(answer.statusCode ?? 502, answer.statusMessage, withoutHops(answer.headers) as never);
      } catch (error) {
        upstream.destroy(error as Error); // a status that Node.js does not pass on
        return;
      }
      pipeline(answer, response, () => {});
    });
    upstream.on("error", (error: NodeJS.ErrnoException) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 502, `Egress to ${name}:${port} failed: ${error.code ?? error.message}`);
    });
    response.on("close", () => upstream.destroy());
    pipeline(request, upstream, () => {});
  }
}

const withoutHops = (headers: Headers): Headers => {
  const named = String(headers.connection ?? "")
    .toLowerCase()
    .split(/\s*,\s*/);
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name) && !named.includes(name)),
  );
};

const refuse = (response: ServerResponse, status: number, why: string): void => {
  response.writeHead(status, { "content-type": "text/plain", connection: "close" }).end(`${why}\n`);
};
