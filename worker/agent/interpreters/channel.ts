/** What one piece of code gave besides its output. Everything that an interpreter says is untrusted: user code can say it. */
export interface ChannelListener {
  onResult(text: string): void;
  onImage(png: Buffer): void;
  /** The code is over: its exit status, as a script of its own would have. */
  onDone(status: number): void;
  /** It says what cannot be. */
  onBroken(): void;
}

const HEADER_MAX_BYTES = 32;
const MAX_BYTES: Record<string, number> = { result: 1024 * 1024, image: 16 * 1024 * 1024, done: 3 };

/** Reads what an interpreter says: lines `result BYTES`, `image BYTES`, `done BYTES`, each followed by so many bytes. */
export class ChannelReader {
  #parts: Buffer[] = [];
  #bytes = 0;
  #payload: { kind: string; bytes: number } | undefined;
  #isBroken = false;

  constructor(private readonly listener: ChannelListener) {}

  push(data: Buffer): void {
    if (this.#isBroken) return;
    this.#parts.push(data);
    this.#bytes += data.length;
    while (!this.#isBroken && (this.#payload ? this.#bytes >= this.#payload.bytes : this.#hasHeader())) this.#step();
  }

  #hasHeader(): boolean {
    if (this.#bytes === 0) return false;
    const start = this.#join().subarray(0, HEADER_MAX_BYTES);
    if (!start.includes(0x0a) && this.#bytes >= HEADER_MAX_BYTES) this.#break();
    return start.includes(0x0a);
  }

  #step(): void {
    if (this.#payload) {
      const { kind, bytes } = this.#payload;
      this.#payload = undefined;
      this.#tell(kind, this.#take(bytes));
      return;
    }
    const line = this.#take(this.#join().indexOf(0x0a) + 1).toString("latin1");
    const [, kind = "", bytes] = /^(result|image|done) (\d{1,9})\n$/.exec(line) ?? [];
    if (bytes === undefined || Number(bytes) > MAX_BYTES[kind]!) this.#break();
    else this.#payload = { kind, bytes: Number(bytes) };
  }

  #tell(kind: string, payload: Buffer): void {
    if (kind === "result") this.listener.onResult(payload.toString());
    else if (kind === "image") this.listener.onImage(payload);
    else if (/^\d{1,3}$/.test(payload.toString("latin1"))) this.listener.onDone(Number(payload.toString("latin1")));
    else this.#break();
  }

  #break(): void {
    this.#isBroken = true;
    this.#parts = [];
    this.listener.onBroken();
  }

  #join(): Buffer {
    const joined = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #take(bytes: number): Buffer {
    const joined = this.#join();
    this.#parts = [joined.subarray(bytes)];
    this.#bytes -= bytes;
    return joined.subarray(0, bytes);
  }
}
