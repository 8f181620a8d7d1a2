import type { Server } from "node:https";
import { createSecureContext } from "node:tls";
import type { Logger } from "pino";
import { WatchedFiles } from "./watched-files.ts";

/** The server's certificate and key: new connections get renewed ones within a second of the change, open ones go on. */
export class TlsFiles extends WatchedFiles {
  constructor(server: Server, { cert, key }: { cert: string; key: string }, log: Logger) {
    super(
      [cert, key],
      ([certificate = "", privateKey = ""]) => {
        const options = { cert: certificate, key: privateKey };
        createSecureContext(options); // throws where they do not fit together, while the server still has those before
        server.setSecureContext(options);
      },
      log,
    );
  }

  override async start(): Promise<void> {
    await this.load();
    super.start();
  }
}
