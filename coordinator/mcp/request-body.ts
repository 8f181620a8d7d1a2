import type { IncomingMessage } from "node:http";

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
