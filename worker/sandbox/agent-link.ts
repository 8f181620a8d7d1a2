import type { Duplex } from "node:stream";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import {
  type AgentFrame,
  AgentFrameSchema,
  type HelloReply,
  type WorkerFrameSchema as WorkerFrameDesc,
  WorkerFrameSchema,
} from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { isFailureCode, ToolFailure } from "../../shared/failure.ts";
import { monotonicMs } from "../../shared/monotonic.ts";
import { unpackTreeFrame } from "../frames/bulk-frame.ts";
import { FrameError } from "../frames/frames.ts";
import { encodeFrame, messageDecoder } from "../frames/messages.ts";
import type { AgentChannel } from "./agent-channel.ts";
import { ProtocolError } from "./protocol-error.ts";
import { VOUCHED_FOR_EVER, type Vouch } from "./vouch.ts";
import { VouchedTimer } from "./vouched-timer.ts";

const HELLO_TIMEOUT_MS = 5_000;
const PING_TIMEOUT_MS = 5_000;
/** Connections that may break the protocol before the sandbox is given up. */
const VIOLATIONS_MAX = 3;

type Request = Exclude<MessageInitShape<typeof WorkerFrameDesc>["body"], undefined>;
type Reply = Exclude<AgentFrame["body"], { case: undefined }>;
type ReplyOf<Case extends Reply["case"]> = Extract<Reply, { case: Case }>["value"];
type Event = Extract<Reply, { case: "output" | "exited" }>;

interface SendOptions {
  isMutating?: boolean;
  /** Of an `unpackTree`, in place of the message's own: it is sent without being copied. */
  data?: readonly Uint8Array[];
}

export interface Greeting {
  epoch: bigint;
  env: Record<string, string>;
}

export interface AgentLinkListener {
  /** Output and exits as the agent says them. Throws `ProtocolError` for what cannot be. */
  onEvent(event: Event): void;
  /** The agent greeted on a new connection, for the first time or again. */
  onGreeted(reply: HelloReply): void;
  onDisconnected(): void;
  /** The agent, or what poses as it, cannot be talked to: no further connection is taken. */
  onBroken(error: ToolFailure): void;
}

interface Pending {
  expected: Reply["case"];
  /** At once, before the next frame is looked at; a promise's continuation comes after it. */
  onReply: (value: never) => void;
  resolve: (value: never) => void;
  reject: (error: Error) => void;
  /** What a request that was sent but not answered means; made when it is needed, since its stack costs. */
  ifLost: () => ToolFailure;
  timer: VouchedTimer;
}

/**
 * Requests and events over one sandbox's channel, across reconnects. Everything from the agent is untrusted: what breaks
 * the protocol ends the connection, never the worker.
 */
export class AgentLink {
  #stream: Duplex | undefined;
  #isGreeted = false;
  #greeting: Greeting = { epoch: 0n, env: {} };
  #vouch: Vouch = VOUCHED_FOR_EVER;
  #nextRequestId = 1n;
  readonly #pending = new Map<bigint, Pending>();
  #waiters = new Set<() => void>();
  #broken: ToolFailure | undefined;
  #violations = 0;
  /** Frames that go out with the next write. */
  #later: Uint8Array[] = [];
  #laterTimer: NodeJS.Timeout | undefined;
  #laterAt = Number.POSITIVE_INFINITY;

  constructor(
    private readonly deps: { channel: AgentChannel; listener: AgentLinkListener; log: Logger; name: string },
  ) {}

  /** @param greeting what the agent is told first; one that already served a session takes no lower epoch than its last */
  async open(greeting = this.#greeting, vouch = this.#vouch): Promise<void> {
    this.#greeting = greeting;
    this.#vouch = vouch;
    await this.deps.channel.open((stream) => this.#use(stream));
  }

  /** Idempotent. Requests in flight fail. */
  async close(): Promise<void> {
    this.#break(this.#unavailable("was removed"));
    await this.deps.channel.close();
  }

  get isConnected(): boolean {
    return this.#isGreeted;
  }

  /** Greets the agent with this from now on; resolves when it accepted it on the present connection. */
  async greet(greeting: Greeting, vouch: Vouch, timeoutMs = HELLO_TIMEOUT_MS): Promise<HelloReply> {
    this.#greeting = greeting;
    this.#vouch = vouch;
    if (!this.#isGreeted) await this.connected(timeoutMs);
    return await this.#send(this.#hello(), "hello", timeoutMs);
  }

  /** The session is ours for so long, as far as we know now: what waited for that goes on, here and in the container. */
  vouch(vouch: Vouch): void {
    this.#vouch = vouch;
    this.tell({ case: "vouch", value: { forMs: leftMs(vouch) } });
    this.#wake();
  }

  /** False: nothing may start in this sandbox until the next `vouch`, and nothing is missed meanwhile. */
  get isVouched(): boolean {
    return monotonicMs() < this.#vouch.startsUntilMs;
  }

  /** Resolves when the sandbox is vouched for; rejects when it cannot be talked to any more. */
  async vouched(): Promise<void> {
    await this.#when(() => this.isVouched);
  }

  /** Resolves when the agent has greeted. */
  async connected(timeoutMs: number): Promise<void> {
    await this.#when(() => this.#isGreeted, timeoutMs);
  }

  async #when(isSo: () => boolean, timeoutMs?: number): Promise<void> {
    if (this.#broken) throw this.#broken;
    if (isSo()) return;
    await new Promise<void>((resolve, reject) => {
      const check = () => {
        if (!isSo() && !this.#broken) return;
        timer?.clear();
        this.#waiters.delete(check);
        if (this.#broken) reject(this.#broken);
        else resolve();
      };
      const onTimeout = () => {
        this.#waiters.delete(check);
        reject(this.#unavailable(`did not connect within ${timeoutMs} ms`));
      };
      const timer = timeoutMs === undefined ? undefined : new VouchedTimer(this, timeoutMs, onTimeout);
      this.#waiters.add(check);
    });
  }

  /**
   * Waits until the sandbox is vouched for and connected, then for the answer. An answer that never came is SANDBOX_UNAVAILABLE, or OUTCOME_UNKNOWN when
   * the request may have changed something.
   */
  async request<Case extends Reply["case"]>(
    body: Request,
    expected: Case,
    timeoutMs: number,
    options: SendOptions = {},
  ): Promise<ReplyOf<Case>> {
    if (!this.isVouched) await this.vouched();
    if (!this.#isGreeted) await this.connected(timeoutMs);
    return await this.#send(body, expected, timeoutMs, options);
  }

  /** For what is not answered. Lost without a connection: the agent repeats what it missed. */
  tell(body: Request): void {
    if (this.#isGreeted) this.#write(encodeFrame(WorkerFrameSchema, create(WorkerFrameSchema, { body })));
  }

  /** As `tell`, after so long or with the next frame: each write wakes the agent. */
  tellLater(body: Request, withinMs: number): void {
    if (!this.#isGreeted) return;
    this.#later.push(encodeFrame(WorkerFrameSchema, create(WorkerFrameSchema, { body })));
    const at = performance.now() + withinMs;
    if (at >= this.#laterAt) return;
    clearTimeout(this.#laterTimer);
    this.#laterAt = at;
    this.#laterTimer = setTimeout(() => this.#write(), withinMs);
  }

  /** In one go, behind what waited. */
  #write(...frames: Uint8Array[]): void {
    const all = [...this.#later, ...frames];
    this.#forgetLater();
    this.#stream?.cork();
    for (const frame of all) this.#stream?.write(frame);
    this.#stream?.uncork();
  }

  #forgetLater(): void {
    clearTimeout(this.#laterTimer);
    this.#laterAt = Number.POSITIVE_INFINITY;
    this.#later = [];
  }

  /** Whether the agent answers. */
  async isAlive(): Promise<boolean> {
    return await this.request({ case: "ping", value: {} }, "pong", PING_TIMEOUT_MS).then(
      () => true,
      () => false,
    );
  }

  #send<Case extends Reply["case"]>(
    body: Request,
    expected: Case,
    timeoutMs: number,
    { isMutating = false, data }: SendOptions = {},
    onReply: (reply: ReplyOf<Case>) => void = () => {},
  ): Promise<ReplyOf<Case>> {
    const requestId = this.#nextRequestId++;
    let parts: Uint8Array[];
    try {
      parts =
        data && body.case === "unpackTree"
          ? unpackTreeFrame(requestId, body.value, data)
          : [encodeFrame(WorkerFrameSchema, create(WorkerFrameSchema, { requestId, body }))];
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause;
      throw new ToolFailure(
        "FILE_TOO_LARGE",
        `Cannot send ${body.case} to sandbox "${this.deps.name}": ${cause.message}`,
        { cause },
      );
    }
    return new Promise((resolve, reject) => {
      const ifLost = () =>
        isMutating
          ? new ToolFailure("OUTCOME_UNKNOWN", `The agent of sandbox "${this.deps.name}" was lost during ${body.case}`)
          : this.#unavailable(`was lost during ${body.case}`);
      const timer = new VouchedTimer(this, timeoutMs, () => {
        this.#pending.delete(requestId);
        reject(ifLost());
      });
      this.#pending.set(requestId, { expected, onReply, resolve, reject, ifLost, timer });
      this.#write(...parts);
    });
  }

  #use(stream: Duplex): void {
    if (this.#broken) {
      stream.destroy();
      return;
    }
    this.#stream = stream;
    const decoder = messageDecoder(AgentFrameSchema);
    stream.on("data", (chunk: Buffer) => {
      if (this.#stream !== stream) return;
      try {
        for (const frame of decoder.push(chunk)) this.#onFrame(frame);
      } catch (error) {
        this.#onViolation(stream, error);
      }
    });
    stream.on("close", () => {
      if (this.#stream === stream) this.#onDisconnected();
    });
    void this.#greetOn(stream);
  }

  #hello(): Request {
    return { case: "hello", value: { ...this.#greeting, vouchedMs: leftMs(this.#vouch) } };
  }

  async #greetOn(stream: Duplex): Promise<void> {
    const onGreeted = (reply: HelloReply) => {
      if (this.#stream !== stream) return;
      this.deps.listener.onGreeted(reply);
      this.#isGreeted = true;
      this.#wake();
    };
    try {
      await this.#send(this.#hello(), "hello", HELLO_TIMEOUT_MS, {}, onGreeted);
    } catch (error) {
      if (this.#stream === stream) this.#onViolation(stream, error);
    }
  }

  #onFrame({ requestId, body }: AgentFrame): void {
    if (body.case === undefined) throw new ProtocolError("a frame without a body");
    if (body.case === "output" || body.case === "exited") {
      if (!this.#isGreeted) throw new ProtocolError(`${body.case} before the greeting`);
      this.deps.listener.onEvent(body);
      return;
    }
    const pending = this.#pending.get(requestId);
    if (!pending) {
      if (requestId === 0n || requestId >= this.#nextRequestId)
        throw new ProtocolError(`an answer to no request (${requestId})`);
      return; // it came after its timeout
    }
    this.#pending.delete(requestId);
    pending.timer.clear();
    if (body.case === "failure") pending.reject(this.#toFailure(body.value));
    else if (body.case === pending.expected) {
      pending.onReply(body.value as never);
      pending.resolve(body.value as never);
    } else {
      pending.reject(pending.ifLost());
      throw new ProtocolError(`${body.case} in answer to what expects ${pending.expected}`);
    }
  }

  #toFailure({ code, message }: { code: string; message: string }): Error {
    if (isFailureCode(code)) return new ToolFailure(code, message);
    return new ToolFailure("SANDBOX_UNAVAILABLE", `Sandbox "${this.deps.name}" refused: ${code}: ${message}`, {
      cause: { code },
    });
  }

  #onViolation(stream: Duplex, error: unknown): void {
    this.deps.log.warn(
      { err: error, sandbox: this.deps.name },
      "the agent broke the protocol; its connection is closed",
    );
    if (++this.#violations >= VIOLATIONS_MAX) this.#break(this.#unavailable("cannot be talked to", error));
    stream.destroy();
    if (this.#stream === stream) this.#onDisconnected();
  }

  #onDisconnected(): void {
    this.#stream = undefined;
    this.#forgetLater();
    this.#isGreeted = false;
    for (const pending of this.#pending.values()) {
      pending.timer.clear();
      pending.reject(pending.ifLost());
    }
    this.#pending.clear();
    if (!this.#broken) this.deps.listener.onDisconnected();
  }

  #break(error: ToolFailure): void {
    if (this.#broken) return;
    this.#broken = error;
    this.#stream?.destroy();
    if (this.#stream) this.#onDisconnected();
    this.#wake();
    this.deps.listener.onBroken(error);
  }

  #wake(): void {
    for (const check of [...this.#waiters]) check();
  }

  #unavailable(what: string, cause?: unknown): ToolFailure {
    return new ToolFailure("SANDBOX_UNAVAILABLE", `Sandbox "${this.deps.name}" ${what}`, { cause });
  }
}

/** For the wire, where 0 is without end. */
const leftMs = ({ runsUntilMs }: Vouch): bigint =>
  runsUntilMs === Number.POSITIVE_INFINITY ? 0n : BigInt(Math.max(1, Math.floor(runsUntilMs - monotonicMs())));
