import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AgentFailure, fromSystemError } from "../failure.ts";

const CHUNK_BYTES = 256 * 1024;
/** A sparse file can claim any size; hashing a real one of this size takes a second or two. */
const SCAN_MAX_BYTES = 1024 * 1024 * 1024;

/** Opens a regular file for reading. A FIFO or a device neither blocks nor is touched. */
export const openRegular = (realPath: string, action: string): { fd: number; sizeBytes: number; mode: number } => {
  let fd: number;
  try {
    fd = openSync(realPath, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    throw fromSystemError(error, action);
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, sizeBytes: stat.size, mode: stat.mode & 0o7777 };
  closeSync(fd);
  throw new AgentFailure("NOT_A_FILE", `${action}: it is not a regular file`);
};

/** Calls `onChunk` with one piece after the other, the same buffer each time, and lets other requests run in between. */
export const scan = async (
  fd: number,
  sizeBytes: number,
  action: string,
  onChunk: (chunk: Buffer) => void,
): Promise<void> => {
  if (sizeBytes > SCAN_MAX_BYTES)
    throw new AgentFailure("FILE_TOO_LARGE", `${action}: it has ${sizeBytes} bytes; read a part of it with a command`);
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes + 1));
  for (;;) {
    let bytes: number;
    try {
      bytes = readSync(fd, buffer, 0, buffer.length, null);
    } catch (error) {
      throw fromSystemError(error, action);
    }
    if (bytes === 0) return;
    onChunk(buffer.subarray(0, bytes));
    if (bytes === buffer.length) await nextTurn();
  }
};

/** SHA-256 of a regular file, or undefined when there is nothing at the path. */
export const hashFile = async (realPath: string, action: string): Promise<string | undefined> => {
  let opened: ReturnType<typeof openRegular>;
  try {
    opened = openRegular(realPath, action);
  } catch (error) {
    if (error instanceof AgentFailure && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
  try {
    const hash = createHash("sha256");
    await scan(opened.fd, opened.sizeBytes, action, (chunk) => void hash.update(chunk));
    return hash.digest("hex");
  } finally {
    closeSync(opened.fd);
  }
};

/** Says of a byte stream whether it is text: valid UTF-8 without a NUL. */
export class TextCheck {
  #isText = true;
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    if (!this.#isText) return;
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const whole = all.length - unfinishedBytes(all);
    this.#isText = isUtf8(all.subarray(0, whole)) && !chunk.includes(0);
    this.#rest = Buffer.from(all.subarray(whole));
  }

  end(): boolean {
    return this.#isText && this.#rest.length === 0;
  }
}

/** Bytes at the end that begin a character but do not end it. */
const unfinishedBytes = (bytes: Buffer): number => {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? back : 0;
  }
  return 0;
};
