import { randomBytes } from "node:crypto";
import { Duplex, PassThrough } from "node:stream";
import { MarkScanner, NONCE_BYTES } from "../frames/attach-mark.ts";
import type { AgentChannel } from "./agent-channel.ts";
import type { Engine } from "./engine.ts";

const RETRY_MS = 500;

/** The container's attached stdio, for engines that do not carry a unix socket into a container. */
export class AttachChannel implements AgentChannel {
  #stream: Duplex | undefined;
  #isClosed = false;

  constructor(
    private readonly engine: Engine,
    private readonly containerId: string,
    private readonly mark: string,
  ) {}

  async open(onStream: (stream: Duplex) => void): Promise<void> {
    const output = new PassThrough();
    const raw = await this.engine.attach(this.containerId, output);
    if (this.#isClosed) {
      raw.destroy();
      return;
    }
    const beginning = Buffer.concat([Buffer.from(this.mark), randomBytes(NONCE_BYTES)]);
    const stream = new Duplex({
      read: () => void output.resume(),
      write: (chunk, _encoding, done) => void raw.write(chunk, done),
      destroy: (_error, done) => {
        raw.destroy();
        output.destroy();
        done(null); // why does not matter: another attachment follows
      },
    });
    this.#stream = stream;
    const scanner = new MarkScanner(beginning);
    const restarts = new MarkScanner(Buffer.from(this.mark));
    let hasBegun = false;
    output.on("data", (chunk: Buffer) => {
      let frames = chunk;
      if (hasBegun && restarts.scan(chunk) !== undefined) {
        stream.destroy(); // a new agent: it knows nothing of this attachment
        return;
      }
      if (!hasBegun) {
        const end = scanner.scan(chunk);
        if (end === undefined) return;
        hasBegun = true;
        onStream(stream);
        frames = chunk.subarray(end);
      }
      if (frames.length > 0 && !stream.push(frames)) output.pause();
    });
    raw.on("error", () => stream.destroy());
    raw.on("close", () => stream.destroy());
    raw.on("end", () => stream.destroy());
    stream.on("error", () => {});
    stream.on("close", () => this.#reopen(onStream));
    raw.write(beginning);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stream?.destroy();
  }

  async discard(): Promise<void> {}

  #reopen(onStream: (stream: Duplex) => void): void {
    if (this.#isClosed) return;
    setTimeout(() => {
      if (!this.#isClosed) this.open(onStream).catch(() => this.#reopen(onStream));
    }, RETRY_MS).unref();
  }
}
