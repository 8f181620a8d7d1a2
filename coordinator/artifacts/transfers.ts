import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

/** What to do with the worker's request: it brings a file's bytes, or wants them. */
export type OnWorker = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Transfers that wait for their worker, by a one-time id that nobody can guess. */
export class Transfers {
  readonly #waiting = new Map<string, OnWorker>();

  /** @returns the path that the worker asks, once, and what takes it back */
  open(onWorker: OnWorker): { path: string; close: () => void } {
    const id = randomBytes(32).toString("base64url");
    this.#waiting.set(id, onWorker);
    return { path: `/transfers/${id}`, close: () => void this.#waiting.delete(id) };
  }

  /** Serves a worker. An id that is unknown or used answers 404. */
  async serve(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const onWorker = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (onWorker) await onWorker(request, response);
    else response.writeHead(404).end();
  }
}
