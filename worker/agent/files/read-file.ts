import { createHash } from "node:crypto";
import { closeSync } from "node:fs";
import type { ReadFile } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure } from "../failure.ts";
import { mimeType } from "./mime-type.ts";
import { openRegular, scan, TextCheck } from "./scan-file.ts";
import type { WorkspacePaths } from "./workspace-path.ts";

const CONTENT_DEFAULT_BYTES = 1024 * 1024;
/** With its fields it fits into one frame. */
const CONTENT_MAX_BYTES = 15 * 1024 * 1024;
const HEAD_BYTES = 16;
const NEWLINE = 0x0a;

export interface ReadResult {
  content: Uint8Array;
  sizeBytes: bigint;
  sha256: string;
  totalLines: bigint;
  lineCount: bigint;
  truncated: boolean;
  isUtf8: boolean;
  mime: string;
  mode: number;
}

/** Reads the whole file once, for its hash and its lines, and keeps only what was asked for. */
export const readFile = async (paths: WorkspacePaths, request: ReadFile): Promise<ReadResult> => {
  const action = `Cannot read "${request.path}"`;
  const { fd, sizeBytes, mode } = openRegular(paths.existing(request.path, action), action);
  try {
    const maxBytes = Math.min(Number(request.maxBytes) || CONTENT_DEFAULT_BYTES, CONTENT_MAX_BYTES);
    if (request.raw && sizeBytes > maxBytes)
      throw new AgentFailure("FILE_TOO_LARGE", `${action}: it has ${sizeBytes} bytes, more than ${maxBytes}`);
    const hash = createHash("sha256");
    const text = new TextCheck();
    const lines = request.raw
      ? new LineWindow(1, Number.POSITIVE_INFINITY, CONTENT_MAX_BYTES)
      : new LineWindow(
          Number(request.lineOffset) || 1,
          Number(request.lineLimit) || Number.POSITIVE_INFINITY,
          maxBytes,
        );
    let head: Buffer = Buffer.alloc(0);
    let seenBytes = 0;
    await scan(fd, sizeBytes, action, (chunk) => {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
      seenBytes += chunk.length;
      hash.update(chunk);
      text.push(chunk);
      lines.push(chunk);
    });
    const isUtf8 = text.end();
    return {
      ...lines.end(),
      sizeBytes: BigInt(seenBytes),
      sha256: hash.digest("hex"),
      isUtf8,
      mime: mimeType(head, isUtf8),
      mode,
    };
  } finally {
    closeSync(fd);
  }
};

/** Keeps the lines [first, first + limit) of a byte stream, whole ones, up to `maxBytes`; one longer line alone is cut. */
export class LineWindow {
  #line = 1;
  #lineHasBytes = false;
  #parts: Buffer[] = [];
  #keptBytes = 0;
  #keptLines = 0;
  /** Of the line that is being kept and has not ended. */
  #partialBytes = 0;
  #isFull = false;
  #isFollowed = false;

  constructor(
    private readonly first: number,
    private readonly limit: number,
    private readonly maxBytes: number,
  ) {}

  push(chunk: Buffer): void {
    for (let start = 0; start < chunk.length; ) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline < 0 ? chunk.length : newline + 1;
      this.#add(chunk.subarray(start, end));
      this.#lineHasBytes = newline < 0;
      if (newline >= 0) this.#endLine();
      start = end;
    }
  }

  end(): { content: Buffer; totalLines: bigint; lineCount: bigint; truncated: boolean } {
    if (this.#partialBytes > 0) this.#keptLines++;
    const totalLines = this.#line - 1 + (this.#lineHasBytes ? 1 : 0);
    return {
      content: Buffer.concat(this.#parts),
      totalLines: BigInt(totalLines),
      lineCount: BigInt(this.#keptLines),
      truncated: this.#isFollowed,
    };
  }

  #add(piece: Buffer): void {
    if (this.#line < this.first) return;
    if (this.#isFull || this.#line >= this.first + this.limit) {
      this.#isFollowed = true;
      return;
    }
    const room = this.maxBytes - this.#keptBytes;
    if (piece.length <= room) {
      this.#keep(piece);
      return;
    }
    this.#isFull = true;
    this.#isFollowed = true;
    if (this.#keptLines === 0) this.#keep(piece.subarray(0, room));
    else this.#dropPartial();
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#parts.push(Buffer.from(piece)); // the scanner uses its buffer again
    this.#keptBytes += piece.length;
    this.#partialBytes += piece.length;
  }

  #dropPartial(): void {
    const whole = Buffer.concat(this.#parts).subarray(0, this.#keptBytes - this.#partialBytes);
    this.#parts = [whole];
    this.#keptBytes = whole.length;
    this.#partialBytes = 0;
  }

  #endLine(): void {
    if (this.#partialBytes > 0) this.#keptLines++;
    this.#partialBytes = 0;
    this.#line++;
  }
}
