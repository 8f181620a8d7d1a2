import { lookup } from "node:dns";
import { Agent, type IncomingMessage } from "node:http";
import { isIP, type LookupFunction, type Socket } from "node:net";
import type { Logger } from "pino";
import { RequestError, Server } from "proxy-chain";
import type { EgressRules } from "./egress-rules.ts";
import { isPublicAddress } from "./public-address.ts";

const IDLE_MS = 600_000;

/**
 * The forward proxy of all sessions of a worker: HTTP, and CONNECT for everything else. It listens nowhere: connections are
 * given to it with the name of the principal whose they are. A name is resolved once, its addresses are checked, and the
 * connection goes to these, so that neither a redirect nor DNS that changes its mind leads elsewhere.
 */
export class EgressProxy {
  readonly #server: Server;
  readonly #principals = new WeakMap<object, string>();
  /** A connection of its own for each request: none is handed to another session. */
  readonly #agent = new Agent({ keepAlive: false });
  /** Ours, by name and port: where sessions find the package cache. */
  #own: { name: string; port: number } | undefined;

  constructor(
    private readonly deps: { log: Logger },
    private readonly rules: EgressRules,
  ) {
    this.#server = new Server({
      port: 0,
      prepareRequestFunction: ({ request, hostname, port }) => {
        const { httpAgent, dnsLookup } = this.#prepare(request, hostname, port);
        return { httpAgent, dnsLookup: dnsLookup as typeof lookup }; // what Node's own connections call
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

  #prepare(request: IncomingMessage, hostname: string, port: number): { dnsLookup: LookupFunction; httpAgent: Agent } {
    const name = hostname.toLowerCase().replace(/\.$/, "");
    const principal = this.#principals.get(request.socket);
    const httpAgent = this.#agent;
    if (this.#own?.name === name && this.#own.port === port) return { dnsLookup: pinned("127.0.0.1"), httpAgent };
    const isRefusedAddress = isAddress(name) && !isPublicAddress(bare(name)); // nobody looks an address up
    if (principal === undefined || isRefusedAddress || !this.rules.allows(principal, name, port)) {
      this.deps.log.info({ principal, name, port }, "egress was refused");
      throw new RequestError(`Egress to ${name}:${port} is not allowed; the operator's list names what is`, 403);
    }
    const address = this.rules.addressOf(name);
    return { dnsLookup: address ? pinned(address) : publicOnly, httpAgent };
  }
}

const bare = (name: string): string => name.replace(/^\[(.*)\]$/, "$1");
const isAddress = (name: string): boolean => isIP(bare(name)) !== 0;
const familyOf = (address: string): number => (address.includes(":") ? 6 : 4);

/** Resolves whatever name to one address. */
const pinned =
  (address: string): LookupFunction =>
  (_, options, callback) => {
    if (options.all) callback(null, [{ address, family: familyOf(address) }]);
    else callback(null, address, familyOf(address));
  };

/** Gives those addresses of a name that are public. */
const publicOnly: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    const usable = (found ?? []).filter(({ address }) => isPublicAddress(address));
    const [first] = usable;
    if (error || !first) {
      const refusal = error ?? Object.assign(new Error(`${hostname} has no public address`), { code: "ENOTFOUND" });
      callback(refusal, options.all ? [] : "", 0);
    } else if (options.all) callback(null, usable);
    else callback(null, first.address, first.family);
  });
};
