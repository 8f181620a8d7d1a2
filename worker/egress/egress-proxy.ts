import type { LookupAddress, lookup } from "node:dns";
import { Agent, type Server as HttpServer, type IncomingMessage } from "node:http";
import type { LookupFunction, Socket } from "node:net";
import type { Logger } from "pino";
import { RequestError, Server } from "proxy-chain";
import { type EgressJudge, EgressRefusal, type EgressVerdict } from "./egress-judge.ts";
import type { EgressRules } from "./egress-rules.ts";
import { type HostSecret, putSecrets } from "./egress-secret.ts";
import { RefusalLog } from "./refusal-log.ts";
import type { SecretInjector } from "./secret-injector.ts";

const IDLE_MS = 600_000;

/** One connection of a session. */
interface Client {
  principal: string;
  /** A connection of its own for each request, gone with the client: a host that never answers keeps none of them. */
  agent: Agent;
}

interface Target {
  name: string;
  addresses: LookupAddress[];
  secrets: readonly HostSecret[];
}

export interface EgressMetrics {
  egress(verdict: EgressVerdict): void;
}

/**
 * The forward proxy of all sessions of a worker: HTTP, and CONNECT for everything else. It listens nowhere: connections are
 * given to it with the name of the principal whose they are. Each request is judged, and connected to the addresses that
 * were judged, so that neither a redirect nor DNS that changes its mind leads elsewhere. Where secrets are registered for a host, its
 * requests get them here.
 */
export class EgressProxy {
  readonly #server: Server;
  readonly #clients = new WeakMap<object, Client>();
  readonly #refusals: RefusalLog;
  /** Ours, by name and port: where sessions find the package cache. */
  #own: { name: string; port: number } | undefined;

  constructor(
    private readonly deps: {
      rules: Pick<EgressRules, "secretsFor">;
      judge: EgressJudge;
      injector: Pick<SecretInjector, "prepare">;
      metrics: EgressMetrics;
      log: Logger;
    },
  ) {
    this.#refusals = new RefusalLog(deps.log);
    this.#server = new Server({
      port: 0,
      prepareRequestFunction: async ({ request, hostname, port, isHttp }) => {
        const { name, addresses, secrets } = await this.#target(request, hostname, port, !isHttp);
        const dnsLookup = pinned(addresses) as typeof lookup; // what Node's own connections call
        if (isHttp) {
          nameTarget(request, secrets);
          const agent = this.#clients.get(request.socket)?.agent;
          if (!agent || request.socket.destroyed) throw new RequestError("The client left", 400);
          return { httpAgent: agent, dnsLookup };
        }
        if (secrets.length === 0) return { dnsLookup };
        const take = await this.deps.injector.prepare({ name, port, lookup: pinned(addresses), secrets });
        // The library emits its connection there, and does nothing else with it.
        const server = { emit: (_: string, socket: Socket): void => take(socket) } as unknown as HttpServer;
        return { customConnectServer: server };
      },
    });
    // Any session makes as many of these as it likes, by hanging up.
    this.#server.on("requestFailed", ({ error }) =>
      deps.log.debug({ err: error as Error }, "a request of a session failed"),
    );
  }

  /** Serves one connection of a session of `principal`. */
  take(socket: Socket, principal: string): void {
    const agent = new Agent({ keepAlive: false });
    this.#clients.set(socket, { principal, agent });
    socket.once("close", () => agent.destroy());
    Object.defineProperty(socket, "remoteAddress", { value: "sandbox" }); // the library takes those without for broken
    socket.setTimeout(IDLE_MS);
    this.#server.server.emit("connection", socket);
  }

  /** Lets all sessions reach a port of this host's loopback address by a name. */
  offer(name: string, port: number): void {
    this.#own = { name, port };
  }

  /** @throws {RequestError} what the client is answered */
  async #target(request: IncomingMessage, hostname: string, port: number, isTls: boolean): Promise<Target> {
    const name = hostname.toLowerCase().replace(/\.$/, "");
    if (this.#own?.name === name && this.#own.port === port)
      return { name, addresses: [{ address: "127.0.0.1", family: 4 }], secrets: [] };
    const principal = this.#clients.get(request.socket)?.principal;
    try {
      if (principal === undefined) throw new EgressRefusal("not_listed", "Egress is not allowed: nobody's connection");
      const addresses = await this.deps.judge.addresses(principal, name, port);
      this.deps.metrics.egress("allowed");
      return { name, addresses, secrets: this.deps.rules.secretsFor(principal, name, port, isTls) };
    } catch (error) {
      if (!(error instanceof EgressRefusal)) throw error;
      this.deps.metrics.egress(error.verdict);
      this.#refusals.note(principal, name, port, error.verdict);
      throw new RequestError(error.message, error.verdict === "not_found" ? 502 : 403);
    }
  }
}

/**
 * Of the two places where a request names its host, the one that was judged goes on: a shared front goes by the other.
 * @throws {RequestError} for a request whose answer would tell the secrets, or with credentials in its URL
 */
const nameTarget = (request: IncomingMessage, secrets: readonly HostSecret[]): void => {
  if (secrets.length > 0 && request.method === "TRACE")
    throw new RequestError("TRACE would answer with the secret", 405);
  const { host, username, password } = new URL(request.url ?? "");
  // Node.js decodes them, and throws where nobody catches: the worker would end.
  if (username || password) throw new RequestError("Credentials belong into a header, not into the URL", 400);
  putSecrets(request.rawHeaders, secrets);
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
