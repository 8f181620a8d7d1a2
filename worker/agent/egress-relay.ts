import { connect, createServer, type Server } from "node:net";

/** Where programs of the session find the worker's proxy: there is no other network here. */
const PORT = 3128;
const CONNECTIONS_MAX = 128;
const RETRY_MS = 1_000;

/**
 * Carries connections from loopback to the worker's proxy, as they are. User code may take the port before us, and spoils
 * but its own session's way: who it is, the socket's folder says.
 */
export const startEgressRelay = (socketPath: string, port = PORT): Server => {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const worker = connect({ path: socketPath, allowHalfOpen: true });
    client.on("error", () => {}).on("close", () => worker.destroy());
    worker.on("error", () => {}).on("close", () => client.destroySoon()); // it may be slow to read what it was sent
    client.pipe(worker).pipe(client);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const listen = () => server.listen(port, "127.0.0.1");
  server.on("error", () => {
    if (!server.listening) setTimeout(listen, RETRY_MS); // otherwise accept(2) failed
  });
  return listen();
};
