import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";

const FILE = "egress.sock";
/** Connections that one session may have open. */
const CONNECTIONS_MAX = 128;

/** A session's way to the proxy: a unix socket beside its agent's, so that whoever connects is that session. */
export class EgressDoor {
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  /** @param folder the one that the container sees */
  constructor(
    private readonly folder: string,
    private readonly take: (socket: Socket, principal: string) => void,
  ) {}

  /** Idempotent: once it is open, it stays the principal's. */
  async open(principal: string): Promise<void> {
    if (this.#server) return;
    const path = join(this.folder, FILE);
    await rm(path, { force: true }); // an earlier worker's
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
      this.take(socket, principal);
    });
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path, writableAll: true }, resolve);
    });
  }

  /** Idempotent. */
  close(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
