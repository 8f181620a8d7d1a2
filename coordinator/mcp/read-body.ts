import type { IncomingMessage } from "node:http";

/**
 * Reads a request's body to its end. Of one above the limit the rest is read on and dropped.
 * @returns undefined when it is larger than `maxBytes`
 */
export const readBody = async (request: IncomingMessage, maxBytes: number): Promise<string | undefined> => {
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
    request.on("end", () => resolve(Buffer.concat(chunks).toString()));
    request.on("error", reject);
  });
};
