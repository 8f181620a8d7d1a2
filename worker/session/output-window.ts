import { isUtf8 } from "node:buffer";

const HEAD_SHARE = 0.4;

/**
 * Keeps the head (40 %) and the tail (60 %) of a stream of bytes, `limitBytes` in all, and says what was left out.
 * Memory stays below twice the limit however much comes.
 */
export class OutputWindow {
  #headLimit: number;
  readonly #tailLimit: number;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #totalBytes = 0;

  constructor(limitBytes: number) {
    this.#headLimit = Math.floor(limitBytes * HEAD_SHARE);
    this.#tailLimit = limitBytes - this.#headLimit;
  }

  push(data: Buffer): void {
    this.#totalBytes += data.length;
    const room = this.#headLimit - this.#headBytes;
    const toHead = data.subarray(0, Math.max(0, room));
    if (toHead.length > 0) this.#head.push(toHead);
    this.#headBytes += toHead.length;
    const rest = data.subarray(toHead.length);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    while (this.#tailBytes - (this.#tail[0]?.length ?? 0) >= this.#tailLimit) {
      this.#tailBytes -= this.#tail.shift()?.length ?? 0;
    }
  }

  /** Bytes that came before all others and are not kept any more: there is no head. */
  skip(bytes: number): void {
    if (bytes === 0) return;
    this.#totalBytes += bytes;
    this.#headLimit = 0;
  }

  get isTruncated(): boolean {
    return this.#totalBytes > this.#headLimit + this.#tailLimit;
  }

  /** Some of what `text` shows is no UTF-8. */
  get isLossy(): boolean {
    return this.#shown().some((part) => !isUtf8(part));
  }

  /** The whole as text, or head and tail on line boundaries with a line between them; bytes that are no UTF-8 become U+FFFD. */
  text(whereTheRestIs: string): string {
    const [head, tail] = this.#shown();
    if (!tail) return String(head);
    const missing = this.#totalBytes - head.length - tail.length;
    return `${head}\n[… ${missing.toLocaleString("en-US")} bytes left out; ${whereTheRestIs} …]\n${tail}`;
  }

  /** The whole, or head and tail. */
  #shown(): [Buffer] | [Buffer, Buffer] {
    const head = Buffer.concat(this.#head);
    const tail = Buffer.concat(this.#tail);
    if (!this.isTruncated) return [Buffer.concat([head, tail])];
    return [untilLineEnd(head), fromLineStart(tail.subarray(-this.#tailLimit))];
  }
}

const untilLineEnd = (data: Buffer): Buffer => {
  const end = data.lastIndexOf(0x0a);
  return end > 0 ? data.subarray(0, end) : cutAtCharacter(data);
};

const fromLineStart = (data: Buffer): Buffer => {
  const start = data.indexOf(0x0a) + 1;
  if (start > 0 && start < data.length) return data.subarray(start);
  let first = 0;
  while (first < 4 && ((data[first] ?? 0) & 0xc0) === 0x80) first++;
  return data.subarray(first);
};

const cutAtCharacter = (data: Buffer): Buffer => {
  let end = data.length;
  while (end > data.length - 4 && end > 0 && ((data[end - 1] ?? 0) & 0xc0) === 0x80) end--;
  const lead = data[end - 1] ?? 0;
  return lead >= 0xc0 ? data.subarray(0, end - 1) : data;
};
