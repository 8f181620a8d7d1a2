import { once } from "node:events";
import { rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A port on loopback, or a unix socket's path. */
export type Address = number | string;

const connectTo = (address: Address): Socket =>
  typeof address === "number"
    ? connect({ port: address, host: "127.0.0.1", allowHalfOpen: true })
    : connect({ path: address, allowHalfOpen: true });

/** One way between two parts of the system, which can be cut, fall silent, or be closed for a while. */
export class Link {
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();
  #isClosed = false;
  #port = 0;

  private constructor(
    private readonly target: Address,
    private readonly path: string | undefined,
  ) {
    this.#server = createServer({ allowHalfOpen: true }, (from) => this.#join(from));
  }

  /** @param path listen on this unix socket; without it, on a free port of loopback */
  static async start(target: Address, path?: string): Promise<Link> {
    const link = new Link(target, path);
    link.#server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
    await once(link.#server, "listening");
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Breaks every connection, as a reset does: both ends see it at once. New ones are let through. */
  cut(): number {
    const pairs = [...this.#pairs];
    for (const [from, to] of pairs) {
      if (this.path === undefined) from.resetAndDestroy();
      else from.destroy();
      to.destroy();
    }
    return pairs.length;
  }

  /**
   * What is connected now stays open and carries nothing more, as when a cable is pulled: neither end is told.
   * @returns how many, and what breaks them at last, as a kernel does that gave up
   */
  silence(): { count: number; end: () => void } {
    const pairs = [...this.#pairs];
    for (const pair of pairs) {
      for (const socket of pair) {
        socket.unpipe();
        socket.pause();
      }
    }
    return { count: pairs.length, end: () => pairs.flat().forEach((socket) => void socket.destroy()) };
  }

  /** Nobody listens there any more, as when the target itself died: whoever connects is refused. What is connected stays. */
  refuse(): void {
    this.#port = this.port;
    this.#server.close();
  }

  /** After `refuse`: on the same port again. */
  async accept(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Cuts, and lets nothing through until `open`. */
  close(): void {
    this.#isClosed = true;
    this.cut();
  }

  open(): void {
    this.#isClosed = false;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.close();
    if (this.path !== undefined) await rm(this.path, { force: true });
  }

  #join(from: Socket): void {
    if (this.#isClosed) return void from.destroy();
    const to = connectTo(this.target);
    const pair: [Socket, Socket] = [from, to];
    this.#pairs.add(pair);
    for (const [socket, other] of [pair, [to, from] as const]) {
      socket.setNoDelay?.(true);
      socket.on("error", () => {}); // `close` follows
      socket.on("close", () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
