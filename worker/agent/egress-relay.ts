import { connect, createServer } from "node:net";

/** Where programs of the session find the worker's proxy: there is no other network here. */
const PORT = 3128;
const CONNECTIONS_MAX = 128;
const RETRY_MS = 1_000;

/**
 * Carries connections from loopback to the worker's proxy, as they are. User code may take the port before us, and spoils
 * but its own session's way: who it is, the socket's folder says.
 */
export const startEgressRelay = (socketPath: string): void => {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const worker = connect({ path: socketPath, allowHalfOpen: true });
    client.on("error", () => {}).on("close", () => worker.destroy());
    worker.on("error", () => {}).on("close", () => client.destroy());
    client.pipe(worker).pipe(client);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("error", () => setTimeout(() => server.listen(PORT, "127.0.0.1"), RETRY_MS));
  server.listen(PORT, "127.0.0.1");
};
