import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** A client that sends too much may go on for so long: one that is cut off while it writes never sees why. */
const LINGER_MS = 10_000;

/**
 * A request's body as it came. The SDK's node adapter takes it for a parsed one, and would write it as JSON again only to
 * have us parse that: it has no JSON of its own.
 */
export class RequestBody {
  private constructor(readonly text: string) {}

  toJSON(): undefined {}

  /**
   * Reads it to its end. Of a body above the limit the rest is read on and dropped.
   * @returns undefined when it is larger than `maxBytes`
   */
  static async read(request: IncomingMessage, maxBytes: number): Promise<RequestBody | undefined> {
    if (Number(request.headers["content-length"]) > maxBytes) {
      request.resume();
      return undefined;
    }
    return await new Promise((resolve, reject) => {
      let chunks: Buffer[] = [];
      let size = 0;
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maxBytes) return chunks.push(chunk);
        chunks = [];
        resolve(undefined);
      });
      request.on("end", () => resolve(new RequestBody(Buffer.concat(chunks).toString())));
      request.on("error", reject);
    });
  }
}

/** Says at once that the body is too large, and lets the client write on for a while, so that it reads that. */
export const answerTooLarge = async (
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<void> => {
  const message = `The request is larger than ${maxBytes} bytes`;
  const answer = JSON.stringify({ jsonrpc: "2.0", error: { code: -32_000, message }, id: null });
  response.writeHead(413, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) });
  response.write(answer);
  const ended = new Promise((resolve) => request.once("end", resolve).once("close", resolve));
  if (!request.complete) await Promise.race([ended, sleep(LINGER_MS, undefined, { ref: false })]);
  response.end();
};
