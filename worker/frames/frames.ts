/** Bytes that one frame may hold. The largest that is ever sent is a file of 15 MiB with its fields. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

export type FrameErrorCode = "FRAME_TOO_LARGE" | "FRAME_MALFORMED" | "FRAME_CUT";

/** The stream cannot be understood any further: whoever sees one closes it. */
export class FrameError extends Error {
  override readonly name = "FrameError";

  constructor(
    readonly code: FrameErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * A message with its size before it, as protobuf's size-delimited streams have it.
 * @throws {FrameError} FRAME_TOO_LARGE, before a byte was sent
 */
export const toFrame = (message: Uint8Array): Uint8Array => {
  const header = frameHeader(message.length);
  const frame = Buffer.allocUnsafe(header.length + message.length);
  frame.set(header);
  frame.set(message, header.length);
  return frame;
};

/** What stands before a message of this size. @throws {FrameError} FRAME_TOO_LARGE */
export const frameHeader = (messageBytes: number): number[] => {
  if (messageBytes > MAX_FRAME_BYTES)
    throw new FrameError("FRAME_TOO_LARGE", `A frame of ${messageBytes} bytes is over the limit of ${MAX_FRAME_BYTES}`);
  const header: number[] = [];
  let rest = messageBytes;
  for (; rest > 0x7f; rest >>>= 7) header.push((rest & 0x7f) | 0x80);
  header.push(rest);
  return header;
};

/** A size up to the limit has no more, nor has any that is worth reading on. */
const HEADER_MAX_BYTES = 5;

/**
 * Cuts a byte stream into messages. Bounded: it refuses a frame by its declared size, before it buffers it. `bytes` fields
 * of the messages are views on the received chunks.
 */
export class FrameDecoder<Message> {
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  #frame: { headerBytes: number; totalBytes: number } | undefined;

  constructor(
    private readonly parse: (bytes: Uint8Array) => Message,
    private readonly maxBytes = MAX_FRAME_BYTES,
  ) {}

  /** Bytes of a frame that has begun but not ended. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** @throws {FrameError} FRAME_TOO_LARGE or FRAME_MALFORMED */
  *push(chunk: Uint8Array): Generator<Message> {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    for (;;) {
      this.#frame ??= this.#readHeader();
      if (!this.#frame || this.#buffered < this.#frame.totalBytes) return;
      const { headerBytes, totalBytes } = this.#frame;
      this.#frame = undefined;
      yield this.#parse(this.#take(totalBytes).subarray(headerBytes));
    }
  }

  /** @throws {FrameError} FRAME_CUT when the stream ended inside a frame */
  end(): void {
    if (this.#buffered > 0)
      throw new FrameError("FRAME_CUT", `The stream ended ${this.#buffered} bytes into an unfinished frame`);
  }

  #readHeader(): { headerBytes: number; totalBytes: number } | undefined {
    if (this.#buffered === 0) return undefined;
    if (this.#chunks[0]!.length < HEADER_MAX_BYTES && this.#chunks.length > 1)
      this.#chunks = [Buffer.concat(this.#chunks)];
    const bytes = this.#chunks[0]!;
    let size = 0;
    for (let i = 0; i < Math.min(bytes.length, HEADER_MAX_BYTES); i++) {
      size += (bytes[i]! & 0x7f) * 2 ** (7 * i);
      if (bytes[i]! > 0x7f) continue;
      if (size > this.maxBytes)
        throw new FrameError("FRAME_TOO_LARGE", `A frame of ${size} bytes is over the limit of ${this.maxBytes}`);
      return { headerBytes: i + 1, totalBytes: i + 1 + size };
    }
    if (bytes.length < HEADER_MAX_BYTES) return undefined;
    throw new FrameError("FRAME_MALFORMED", "A frame does not begin with a size");
  }

  #take(length: number): Uint8Array {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#buffered = all.length - length;
    this.#chunks = this.#buffered > 0 ? [all.subarray(length)] : [];
    return all.subarray(0, length);
  }

  #parse(bytes: Uint8Array): Message {
    try {
      return this.parse(bytes);
    } catch (cause) {
      throw new FrameError("FRAME_MALFORMED", `A frame of ${bytes.length} bytes is no message`, { cause });
    }
  }
}
