import type { LookupAddress, lookup } from "node:dns";
import { Agent, type IncomingMessage } from "node:http";
import type { LookupFunction, Socket } from "node:net";
import type { Logger } from "pino";
import { RequestError, Server } from "proxy-chain";
import { type EgressJudge, EgressRefusal, type EgressVerdict } from "./egress-judge.ts";
import { RefusalLog } from "./refusal-log.ts";

const IDLE_MS = 600_000;

export interface EgressMetrics {
  egress(verdict: EgressVerdict): void;
}

/**
 * The forward proxy of all sessions of a worker: HTTP, and CONNECT for everything else. It listens nowhere: connections are
 * given to it with the name of the principal whose they are. Each request is judged, and connected to the addresses that
 * were judged, so that neither a redirect nor DNS that changes its mind leads elsewhere.
 */
export class EgressProxy {
  readonly #server: Server;
  readonly #principals = new WeakMap<object, string>();
  readonly #refusals: RefusalLog;
  /** A connection of its own for each request: none is handed to another session. */
  readonly #agent = new Agent({ keepAlive: false });
  /** Ours, by name and port: where sessions find the package cache. */
  #own: { name: string; port: number } | undefined;

  constructor(
    private readonly deps: { metrics: EgressMetrics; log: Logger },
    private readonly judge: EgressJudge,
  ) {
    this.#refusals = new RefusalLog(deps.log);
    this.#server = new Server({
      port: 0,
      prepareRequestFunction: async ({ request, hostname, port, isHttp }) => {
        const addresses = await this.#destination(request, hostname, port);
        if (isHttp) nameTarget(request);
        const dnsLookup = pinned(addresses) as typeof lookup; // what Node's own connections call
        return { httpAgent: this.#agent, dnsLookup };
      },
    });
  }

  /** Serves one connection of a session of `principal`. */
  take(socket: Socket, principal: string): void {
    this.#principals.set(socket, principal);
    Object.defineProperty(socket, "remoteAddress", { value: "sandbox" }); // the library takes those without for broken
    socket.setTimeout(IDLE_MS);
    this.#server.server.emit("connection", socket);
  }

  /** Lets all sessions reach a port of this host's loopback address by a name. */
  offer(name: string, port: number): void {
    this.#own = { name, port };
  }

  /** @throws {RequestError} what the client is answered */
  async #destination(request: IncomingMessage, hostname: string, port: number): Promise<LookupAddress[]> {
    const name = hostname.toLowerCase().replace(/\.$/, "");
    if (this.#own?.name === name && this.#own.port === port) return [{ address: "127.0.0.1", family: 4 }];
    const principal = this.#principals.get(request.socket);
    try {
      if (principal === undefined) throw new EgressRefusal("not_listed", "Egress is not allowed: nobody's connection");
      const addresses = await this.judge.addresses(principal, name, port);
      this.deps.metrics.egress("allowed");
      return addresses;
    } catch (error) {
      if (!(error instanceof EgressRefusal)) throw error;
      this.deps.metrics.egress(error.verdict);
      this.#refusals.note(principal, name, port, error.verdict);
      throw new RequestError(error.message, error.verdict === "not_found" ? 502 : 403);
    }
  }
}

/** Of the two places where a request names its host, the one that was judged goes on: a shared front goes by the other. */
const nameTarget = (request: IncomingMessage): void => {
  const { host } = new URL(request.url ?? "");
  const { rawHeaders } = request;
  for (let i = 0; i < rawHeaders.length; i += 2) if (/^host$/i.test(rawHeaders[i]!)) rawHeaders[i + 1] = host;
};

/** Resolves whatever name to these addresses. */
const pinned =
  (addresses: LookupAddress[]): LookupFunction =>
  (_, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, addresses);
    else callback(null, first!.address, first!.family);
  };
