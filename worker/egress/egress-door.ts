import { rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Egress } from "./egress.ts";
import { listenInPlace } from "./listen-in-place.ts";

const FILE = "egress.sock";
/** Connections that one session may have open. */
const CONNECTIONS_MAX = 128;

/** A session's way to the proxy: a unix socket beside its agent's, so that whoever connects is that session. */
export class EgressDoor {
  #opening: Promise<void> | undefined;
  #server: Server | undefined;
  #isClosed = false;
  readonly #sockets = new Set<Socket>();

  /** @param folder the one that the container sees */
  constructor(
    private readonly folder: string,
    private readonly egress: Pick<Egress, "take" | "missed" | "filesFor">,
  ) {}

  /** Idempotent: once it is open, it stays the principal's. One that failed leaves nobody listening, and may be repeated. */
  open(principal: string): Promise<void> {
    this.#opening ??= this.#open(principal).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Idempotent, and for good. */
  close(): void {
    this.#isClosed = true;
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #open(principal: string): Promise<void> {
    for (const [name, content] of await this.egress.filesFor(principal)) {
      const file = join(this.folder, name);
      await rm(file, { force: true });
      await writeFile(file, content, { mode: 0o444, flag: "wx" });
    }
    if (this.#isClosed) return; // meanwhile: the socket there may be the next worker's
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
      this.egress.take(socket, principal);
    });
    server.maxConnections = CONNECTIONS_MAX;
    await listenInPlace(server, join(this.folder, FILE));
    server.on("error", (error) => this.egress.missed(error));
    this.#server = server;
    if (this.#isClosed) server.close();
  }
}
