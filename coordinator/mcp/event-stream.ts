import type { JSONRPCMessage } from "@modelcontextprotocol/server";

/** Below the 15 s after which common proxies think a quiet stream dead. */
export const KEEP_ALIVE_MS = 10_000;

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** A response of server-sent events, each one JSON-RPC message. */
export class EventStream {
  readonly response: Response;
  readonly #encoder = new TextEncoder();
  readonly #gone = new AbortController();
  readonly #keepAlive = setInterval(() => this.#write(": keepalive\n\n"), KEEP_ALIVE_MS);
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor() {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        clearInterval(this.#keepAlive);
        this.#gone.abort();
      },
    });
    this.response = new Response(body, { headers: HEADERS });
  }

  /** Aborted when the client goes away. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** @throws {Error} when nobody reads any more */
  send(message: JSONRPCMessage, id?: string): void {
    const text = `event: message\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(message)}\n\n`;
    if (!this.#write(text)) throw new Error("the client went away");
  }

  close(): void {
    clearInterval(this.#keepAlive);
    this.#controller?.close();
    this.#controller = undefined;
  }

  #write(text: string): boolean {
    this.#controller?.enqueue(this.#encoder.encode(text));
    return this.#controller !== undefined;
  }
}
