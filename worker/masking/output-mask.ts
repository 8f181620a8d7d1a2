import { CONTEXT_BYTES, type SecretMask } from "./secret-mask.ts";

/** How long what may be the beginning of a secret is held when nothing follows: a prompt that ends alike shall be seen. */
const HOLD_MS = 100;
/** What has as much of one is all but certain to be one: a program that writes block by block may take a while. */
const SURE_BYTES = 16;
const SURE_HOLD_MS = 2_000;
/** As much as the agent sends at once; a regular expression that goes back does so over one at most. */
const PIECE_BYTES = 64 * 1024;
const STAR = 0x2a;
const SPACE = 0x20;

interface StreamState {
  /** The bytes before what comes next. */
  before: string;
  /** The last secret may go on, with such characters. */
  open: RegExp | undefined;
}

/**
 * Masks the secrets in one process's output, byte by byte, so that all lengths and offsets stay what they are. A secret that
 * is cut by the end of a chunk is found as well: what may be its beginning is held back until more comes of the same
 * stream, for a bounded time. The order of chunks stays, so a chunk of the other stream sets it free.
 */
export class OutputMask {
  readonly #streams: Record<"stdout" | "stderr", StreamState> = {
    stdout: { before: "", open: undefined },
    stderr: { before: "", open: undefined },
  };
  #held: { offset: number; isStderr: boolean; data: Buffer } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly secrets: SecretMask,
    private readonly emit: (offset: number, isStderr: boolean, data: Buffer) => void,
  ) {}

  /** @param data is changed in place */
  push(offset: number, isStderr: boolean, data: Buffer): void {
    const held = this.#held;
    if (held && held.isStderr !== isStderr) this.release();
    if (this.#held) {
      this.#letGo();
      this.#mask(held!.offset, isStderr, Buffer.concat([held!.data, data]));
    } else {
      this.#mask(offset, isStderr, data);
    }
  }

  /** Gives out what is held: no more will come, or too late. */
  release(): void {
    const held = this.#held;
    if (!held) return;
    this.#letGo();
    const stream = this.#streams[held.isStderr ? "stderr" : "stdout"];
    stream.before = (stream.before + held.data.toString("latin1")).slice(-CONTEXT_BYTES);
    this.emit(held.offset, held.isStderr, held.data);
  }

  #letGo(): void {
    clearTimeout(this.#timer);
    this.#held = undefined;
  }

  #mask(offset: number, isStderr: boolean, data: Buffer): void {
    const stream = this.#streams[isStderr ? "stderr" : "stdout"];
    const context = stream.before.length;
    const text = stream.before + data.toString("latin1");
    let from = context;
    if (stream.open) {
      stream.open.lastIndex = from;
      stream.open.test(text);
      from = stream.open.lastIndex;
      cover(data, 0, from - context);
      if (from < text.length) stream.open = undefined;
    }
    if (from === text.length) {
      this.emit(offset, isStderr, data);
      return;
    }
    const { secrets, heldFrom, open } = this.secrets.find(text, from);
    for (const { start, end } of secrets) cover(data, start - context, end - context);
    stream.open = open;
    stream.before = text.slice(Math.max(0, heldFrom - CONTEXT_BYTES), heldFrom);
    const cut = heldFrom - context;
    if (cut > 0) this.emit(offset, isStderr, cut < data.length ? data.subarray(0, cut) : data);
    if (cut === data.length) return;
    const rest = data.subarray(cut);
    this.#held = { offset: offset + cut, isStderr, data: rest };
    this.#timer = setTimeout(() => this.release(), rest.length < SURE_BYTES ? HOLD_MS : SURE_HOLD_MS);
  }
}

/** Spaces and line ends stay: the shape of a key's block is no secret. */
const cover = (data: Buffer, start: number, end: number): void => {
  for (let i = start; i < end; i++) if (data[i]! > SPACE) data[i] = STAR;
};

/** For text that is whole. */
export const masked = (secrets: SecretMask, data: Buffer): Buffer => {
  const parts: Buffer[] = [];
  const mask = new OutputMask(secrets, (_, __, part) => void parts.push(part));
  for (let at = 0; at < data.length; at += PIECE_BYTES) mask.push(at, false, data.subarray(at, at + PIECE_BYTES));
  mask.release();
  return Buffer.concat(parts);
};
