/**
 * Attached stdio has no beginning: a worker that was killed may have left half a frame in the pipe. So each attachment
 * begins with a mark, which only the worker and the agent know (it stands in the container's environment), and a nonce of
 * the worker's; the agent answers with both, and both sides read frames only from there on.
 */
export const NONCE_BYTES = 16;

/** Finds a mark in a byte stream, across chunks. Holds nothing back. */
export class MarkScanner {
  #tail: Buffer = Buffer.alloc(0);

  constructor(private readonly mark: Buffer) {}

  /** Number of bytes of `chunk` up to the end of the mark, the last one if it comes twice; undefined when it does not end here. */
  scan(chunk: Buffer): number | undefined {
    const window = Buffer.concat([this.#tail, chunk.subarray(0, this.mark.length)]);
    const inChunk = chunk.lastIndexOf(this.mark);
    const acrossChunks = window.lastIndexOf(this.mark);
    const tailBytes = this.#tail.length;
    this.#tail = Buffer.from(
      chunk.length >= this.mark.length - 1
        ? chunk.subarray(chunk.length - this.mark.length + 1)
        : Buffer.concat([this.#tail, chunk]).subarray(-(this.mark.length - 1)),
    );
    if (inChunk >= 0) return inChunk + this.mark.length;
    const end = acrossChunks + this.mark.length - tailBytes;
    return acrossChunks >= 0 && end > 0 ? end : undefined;
  }
}
