import { randomBytes } from "node:crypto";
import { rename } from "node:fs/promises";
import type { Server } from "node:net";
import { dirname, join } from "node:path";

/**
 * Listens on a unix socket that replaces the one at `path`, in one step. A server that closes unlinks the name it was bound
 * to, whoever is there by then: that is one of its own here, which is gone once it listens, so that an earlier worker that
 * closes late removes nothing. What stays at `path` refuses connections until the next one replaces it.
 * Errors of connections that could not be accepted are taken as well: the server goes on listening after them.
 */
export const listenInPlace = async (server: Server, path: string): Promise<void> => {
  const own = join(dirname(path), `s.${randomBytes(4).toString("hex")}`); // short: a socket's path has 107 bytes
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject); // stays, where it does nothing
    server.listen({ path: own, writableAll: true }, resolve);
  });
  try {
    await rename(own, path);
  } catch (error) {
    server.close();
    throw error;
  }
};
