import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AgentFrameSchema, WorkerFrame } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { FrameDecoder, toFrame } from "../frames/frames.ts";
import { decodeWorkerFrame, encodeAgentFrame } from "./codec.ts";

const RETRY_FIRST_MS = 5;
const RETRY_LAST_MS = 500;

export type AgentFrameInit = MessageInitShape<typeof AgentFrameSchema>;

export interface ConnectionListener {
  onConnected(): void;
  onFrame(frame: WorkerFrame): void;
}

/** What carries frames to the worker. */
export interface AgentConnection {
  start(): void;
  /** Without a connection the frame is lost: whoever needs it sends it again after the next `onConnected`. */
  send(frame: AgentFrameInit): void;
}

/** The way to the worker: dials its socket for ever, and again whenever the connection ends. */
export class Connection implements AgentConnection {
  #stream: Duplex | undefined;
  #retryMs = RETRY_FIRST_MS;

  constructor(
    private readonly socketPath: string,
    private readonly listener: ConnectionListener,
  ) {}

  start(): void {
    const socket = connect(this.socketPath);
    socket.on("connect", () => {
      this.#retryMs = RETRY_FIRST_MS;
      this.#use(socket);
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      if (this.#stream === socket) this.#stream = undefined;
      setTimeout(() => this.start(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
    });
  }

  send(frame: AgentFrameInit): void {
    if (this.#stream) writeFrame(this.#stream, frame);
  }

  #use(stream: Duplex): void {
    this.#stream = stream;
    const decoder = new FrameDecoder(decodeWorkerFrame);
    this.listener.onConnected();
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) this.listener.onFrame(frame);
      } catch {
        stream.destroy(); // nothing on this stream can be understood any more
      }
    });
  }
}

/** Frames of one turn of the event loop leave in one system call. */
export const writeFrame = (stream: Duplex, frame: AgentFrameInit): void => {
  if (stream.writableCorked === 0) {
    stream.cork();
    setImmediate(() => stream.uncork());
  }
  stream.write(toFrame(encodeAgentFrame(frame)));
};
