import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { sizeDelimitedEncode, sizeDelimitedPeek } from "@bufbuild/protobuf/wire";

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

/** @throws {FrameError} FRAME_TOO_LARGE, before a byte was sent */
export const encodeFrame = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array => {
  const bytes = sizeDelimitedEncode(schema, message);
  if (bytes.length > MAX_FRAME_BYTES)
    throw new FrameError("FRAME_TOO_LARGE", `A frame of ${bytes.length} bytes is over the limit of ${MAX_FRAME_BYTES}`);
  return bytes;
};

const VARINT_MAX_BYTES = 10;

/**
 * Cuts a byte stream into messages. Bounded: it refuses a frame by its declared size, before it buffers it. `bytes` fields
 * of the messages are views on the received chunks.
 */
export class FrameDecoder<Desc extends DescMessage> {
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  #frame: { headerBytes: number; totalBytes: number } | undefined;

  constructor(
    private readonly schema: Desc,
    private readonly maxBytes = MAX_FRAME_BYTES,
  ) {}

  /** Bytes of a frame that has begun but not ended. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** @throws {FrameError} FRAME_TOO_LARGE or FRAME_MALFORMED */
  *push(chunk: Uint8Array): Generator<MessageShape<Desc>> {
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
    if (this.#chunks[0]!.length < VARINT_MAX_BYTES && this.#chunks.length > 1)
      this.#chunks = [Buffer.concat(this.#chunks)];
    const { size, offset } = this.#peek(this.#chunks[0]!);
    if (size === null) return undefined;
    if (size > this.maxBytes)
      throw new FrameError("FRAME_TOO_LARGE", `A frame of ${size} bytes is over the limit of ${this.maxBytes}`);
    return { headerBytes: offset, totalBytes: offset + size };
  }

  #peek(bytes: Uint8Array): { size: number; offset: number } | { size: null; offset: null } {
    try {
      return sizeDelimitedPeek(bytes);
    } catch (cause) {
      throw new FrameError("FRAME_MALFORMED", "A frame does not begin with a size", { cause });
    }
  }

  #take(length: number): Uint8Array {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#buffered = all.length - length;
    this.#chunks = this.#buffered > 0 ? [all.subarray(length)] : [];
    return all.subarray(0, length);
  }

  #parse(bytes: Uint8Array): MessageShape<Desc> {
    try {
      return fromBinary(this.schema, bytes);
    } catch (cause) {
      throw new FrameError("FRAME_MALFORMED", `A frame of ${bytes.length} bytes is not a ${this.schema.typeName}`, {
        cause,
      });
    }
  }
}
