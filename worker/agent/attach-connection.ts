import { Socket } from "node:net";
import type { WorkerFrame } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { MarkScanner, NONCE_BYTES } from "../frames/attach-mark.ts";
import { FrameDecoder } from "../frames/frames.ts";
import { decodeWorkerFrame } from "./codec.ts";
import { type AgentConnection, type AgentFrameInit, type ConnectionListener, writeFrame } from "./connection.ts";

const STDIN = 0;
const STDOUT = 1;

/** The way to the worker over the container's own stdin and stdout. Each attachment begins with the mark and a nonce. */
export class AttachConnection implements AgentConnection {
  readonly #input = new Socket({ fd: STDIN, readable: true, writable: false });
  readonly #output = new Socket({ fd: STDOUT, readable: false, writable: true });
  readonly #scanner: MarkScanner;
  /** Undefined until an attachment has begun, and after something that cannot be understood. */
  #decoder: FrameDecoder<WorkerFrame> | undefined;
  #nonce: Buffer | undefined;

  constructor(
    private readonly mark: Buffer,
    private readonly listener: ConnectionListener,
  ) {
    this.#scanner = new MarkScanner(mark);
  }

  start(): void {
    for (const stream of [this.#input, this.#output]) stream.on("error", () => {});
    this.#input.on("data", (chunk) => this.#onData(chunk));
    // Says that an earlier agent's attachment is over.
    this.#output.write(Buffer.concat([this.mark, Buffer.alloc(NONCE_BYTES)]));
  }

  send(frame: AgentFrameInit): void {
    if (this.#decoder) writeFrame(this.#output, frame);
  }

  #onData(chunk: Buffer): void {
    const end = this.#scanner.scan(chunk);
    let rest = chunk;
    if (end !== undefined) {
      this.#decoder = undefined;
      this.#nonce = Buffer.alloc(0);
      rest = chunk.subarray(end);
    }
    if (this.#nonce) rest = this.#readNonce(this.#nonce, rest);
    if (!this.#decoder || rest.length === 0) return;
    try {
      for (const frame of this.#decoder.push(rest)) this.listener.onFrame(frame);
    } catch {
      this.#decoder = undefined; // nothing can be understood until the next attachment
    }
  }

  #readNonce(nonce: Buffer, chunk: Buffer): Buffer {
    const missing = NONCE_BYTES - nonce.length;
    this.#nonce = Buffer.concat([nonce, chunk.subarray(0, missing)]);
    if (this.#nonce.length < NONCE_BYTES) return Buffer.alloc(0);
    this.#output.write(Buffer.concat([this.mark, this.#nonce]));
    this.#nonce = undefined;
    this.#decoder = new FrameDecoder(decodeWorkerFrame);
    this.listener.onConnected();
    return chunk.subarray(missing);
  }
}
