import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { asReadable } from "./as-readable.ts";
import { CHUNK_BYTES, HASH_BYTES } from "./tree-entry.ts";

const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);

/** SHA-256 of every chunk of the file, and its size as it was read. */
export const hashChunks = (path: string): { chunks: Buffer; sizeBytes: number } =>
  withFile(path, (fd) => {
    const hashes: Buffer[] = [];
    let sizeBytes = 0;
    for (;;) {
      const length = readFully(fd, buffer, sizeBytes);
      if (length > 0) hashes.push(createHash("sha256").update(buffer.subarray(0, length)).digest());
      sizeBytes += length;
      if (length < CHUNK_BYTES) break;
    }
    return { chunks: hashes.length === 1 ? hashes[0]! : Buffer.concat(hashes, hashes.length * HASH_BYTES), sizeBytes };
  });

/** A copy of one chunk. */
export const readChunk = (path: string, index: number): Buffer =>
  withFile(path, (fd) => {
    const start = index * CHUNK_BYTES;
    const content = Buffer.allocUnsafe(Math.max(0, Math.min(CHUNK_BYTES, fstatSync(fd).size - start)));
    return content.subarray(0, readFully(fd, content, start));
  });

const withFile = <T>(path: string, read: (fd: number) => T): T => {
  const fd = asReadable(path, () => openSync(path, "r"));
  try {
    return read(fd);
  } finally {
    closeSync(fd);
  }
};

const readFully = (fd: number, into: Buffer, position: number): number => {
  let length = 0;
  while (length < into.length) {
    const read = readSync(fd, into, length, into.length - length, position + length);
    if (read === 0) break;
    length += read;
  }
  return length;
};
