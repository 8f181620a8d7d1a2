import { closeSync, readSync } from "node:fs";
import { Socket } from "node:net";

/** As much as a pipe holds. */
const READ_BYTES = 64 * 1024;
/** Its content, and its end. */
const FULL_PIPE_READS = 2;

const buffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Our end of a pipe that a command writes its output to. It becomes a stream only for a command that takes its time: to
 * make one, hear its end and unmake it costs a quick call more than everything else that is done for it here.
 */
export class OutputPipe {
  #fd: number;

  /** @param fd open, and does not block */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Reads what stands in it, and no more: who still writes is as fast as we are. True when that was all that ever comes. */
  readNow(onData: (data: Buffer) => void): boolean {
    for (let reads = 0; reads < FULL_PIPE_READS; reads++) {
      let length: number;
      try {
        length = readSync(this.#fd, buffer);
      } catch {
        return false; // somebody can still write
      }
      if (length === 0) {
        this.close();
        return true;
      }
      onData(Buffer.from(buffer.subarray(0, length)));
    }
    return false;
  }

  /** Once. The stream owns the descriptor from then on. */
  open(): Socket {
    const fd = this.#fd;
    this.#fd = -1;
    return new Socket({ fd, readable: true, writable: false });
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
