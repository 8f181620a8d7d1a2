import { rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Egress } from "./egress.ts";

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
    private readonly egress: Pick<Egress, "take" | "filesFor">,
  ) {}

  /** Idempotent: once it is open, it stays the principal's. */
  async open(principal: string): Promise<void> {
    if (this.#server) return;
    const path = join(this.folder, FILE);
    await rm(path, { force: true }); // an earlier worker's
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
      this.egress.take(socket, principal);
    });
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    for (const [name, content] of await this.egress.filesFor(principal)) {
      const file = join(this.folder, name);
      await rm(file, { force: true });
      await writeFile(file, content, { mode: 0o444, flag: "wx" });
    }
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
