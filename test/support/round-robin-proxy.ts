import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/**
 * A load balancer without any affinity: every request goes to the next replica that takes a connection, over one of its
 * own. Bodies stream both ways; whoever of the two ends goes away takes the other with it.
 */
export class RoundRobinProxy {
  readonly #server: Server;
  #upstreams: URL[];
  #next = 0;

  private constructor(upstreams: readonly string[]) {
    this.#upstreams = upstreams.map((url) => new URL(url));
    this.#server = createServer((incoming, response) => this.#forward(incoming, response));
    // A client that was busy with itself for 5 s, node's default, may send on a connection that is just being closed.
    this.#server.keepAliveTimeout = 120_000;
  }

  /** @param upstreams origins of the replicas; paths in them are ignored */
  static async start(upstreams: readonly string[]): Promise<RoundRobinProxy> {
    const proxy = new RoundRobinProxy(upstreams);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** The MCP endpoint behind it. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  /** From the next request on. What is under way goes on where it is. */
  use(upstreams: readonly string[]): void {
    this.#upstreams = upstreams.map((url) => new URL(url));
  }

  /** Breaks every connection in the middle of whatever it carries. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    const closed = once(this.#server.close(), "close");
    this.#server.closeAllConnections();
    await closed;
  }

  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    this.#connect(this.#upstreams.length, (socket) => {
      if (!socket) {
        response.writeHead(this.#upstreams.length === 0 ? 503 : 502).end();
        return;
      }
      const { method, url: path } = incoming;
      const headers = { ...incoming.headers, connection: "close" }; // else nobody would end it after the answer
      const outgoing = request({ method, path, headers, createConnection: () => socket });
      outgoing.on("response", (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
        answer.on("error", () => response.destroy()); // the replica died in the middle of its answer
      });
      outgoing.on("error", () => {
        if (response.headersSent) response.destroy();
        else response.writeHead(502).end();
      });
      response.on("close", () => outgoing.destroy());
      incoming.on("error", () => outgoing.destroy());
      if (response.destroyed) outgoing.destroy();
      incoming.pipe(outgoing);
    });
  }

  /** A replica that refuses the connection has seen nothing of the request: the next one gets it. */
  #connect(tries: number, done: (socket: Socket | undefined) => void): void {
    const upstream = this.#upstreams[this.#next++ % this.#upstreams.length];
    if (!upstream || tries === 0) {
      done(undefined);
      return;
    }
    const socket = connect(Number(upstream.port), upstream.hostname);
    const onRefused = (): void => this.#connect(tries - 1, done);
    socket.once("error", onRefused);
    socket.once("connect", () => {
      socket.off("error", onRefused);
      socket.on("error", () => {}); // the request or its answer tells
      done(socket);
    });
  }
}
