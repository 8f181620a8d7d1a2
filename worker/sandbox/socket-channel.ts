import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { listenInPlace } from "../egress/listen-in-place.ts";
import type { AgentChannel } from "./agent-channel.ts";

const SOCKET_FILE = "agent.sock";
/** Others may pass through to the socket, but not list the folder. The sandbox's user has no right to change it. */
const FOLDER_MODE = 0o711;

/**
 * A unix socket in a folder of its own, which the sandbox sees read-only: whoever connects is the sandbox that the folder
 * was mounted into. While the agent is connected nobody listens, so user code finds no socket to connect to.
 */
export class SocketChannel implements AgentChannel {
  #server: Server | undefined;
  #socket: Socket | undefined;
  #isClosed = false;

  constructor(readonly folder: string) {}

  /** Makes the folder. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: FOLDER_MODE });
    await chmod(this.folder, FOLDER_MODE); // whatever the umask
  }

  async open(onStream: (stream: Socket) => void): Promise<void> {
    await this.#listen(onStream);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopListening();
    this.#socket?.destroy();
  }

  async discard(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #listen(onStream: (stream: Socket) => void): Promise<void> {
    if (this.#isClosed) return;
    const server = createServer((socket) => {
      if (this.#socket || this.#isClosed) {
        socket.destroy(); // it was faster than stopListening()
        return;
      }
      this.#socket = socket;
      this.#stopListening();
      socket.on("error", () => {}); // "close" follows
      socket.on("close", () => {
        this.#socket = undefined;
        if (!this.#isClosed) void this.#listen(onStream).catch(() => {}); // the folder is gone: the sandbox is being removed
      });
      onStream(socket);
    });
    this.#server = server;
    await listenInPlace(server, join(this.folder, SOCKET_FILE));
  }

  #stopListening(): void {
    this.#server?.close();
    this.#server = undefined;
  }
}
