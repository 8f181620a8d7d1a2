const NEWLINE = 0x0a;
const NUL = 0x00;
/** ripgrep cuts lines itself; this holds against a program that only bears its name. */
const RECORD_MAX_BYTES = 64 * 1024;
/** Of all matches together: they travel in one frame and are read by a model. */
const TEXT_MAX_BYTES = 1024 * 1024;

export interface SearchMatch {
  path: string;
  line: bigint;
  text: string;
  isContext: boolean;
  count: bigint;
}

/**
 * Reads what `rg --null` prints, piece by piece: `path NUL line:text` (`-` for context) in mode content, `path NUL` in mode
 * files, `path NUL count` in mode count.
 */
export class MatchReader {
  readonly matches: SearchMatch[] = [];
  /** There is more than fits. */
  isFull = false;
  #found = 0;
  #textBytes = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(
    private readonly mode: string,
    /** Matches; lines of context are not counted. */
    private readonly limit: number,
  ) {}

  push(data: Buffer): void {
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    const end = this.mode === "files" ? NUL : NEWLINE;
    let start = 0;
    for (let at = all.indexOf(end); at >= 0 && !this.isFull; at = all.indexOf(end, start)) {
      this.#record(all.subarray(start, at));
      start = at + 1;
    }
    this.#rest = Buffer.from(all.subarray(start));
    if (this.#rest.length > RECORD_MAX_BYTES) this.isFull = true;
  }

  /** Context that follows what was left out is of no use, nor is a separator at the end. */
  end(): void {
    while (this.isFull && this.matches.at(-1)?.isContext) this.matches.pop();
  }

  #record(record: Buffer): void {
    const nul = record.indexOf(NUL);
    if (this.mode === "files") this.#add(record.toString(), {});
    else if (nul < 0)
      return; // the line between groups of context
    else {
      const path = record.toString("utf8", 0, nul);
      const rest = record.subarray(nul + 1);
      if (this.mode === "count") this.#add(path, { count: toCount(rest.toString()) });
      else this.#line(path, rest);
    }
  }

  #line(path: string, rest: Buffer): void {
    const digits = rest.findIndex((byte) => byte < 0x30 || byte > 0x39);
    const text = rest.toString("utf8", digits + 1).replace(/\r$/, "");
    this.#add(path, { line: toCount(rest.toString("latin1", 0, digits)), text, isContext: rest[digits] === 0x2d });
  }

  #add(path: string, match: Partial<SearchMatch>): void {
    this.#textBytes += path.length + (match.text?.length ?? 0);
    if (!match.isContext) this.#found++;
    if (this.#found > this.limit || this.#textBytes > TEXT_MAX_BYTES) this.isFull = true;
    else
      this.matches.push({ path: path.replace(/^\.\//, ""), line: 0n, text: "", isContext: false, count: 0n, ...match });
  }
}

const toCount = (digits: string): bigint => BigInt(/^\d{1,15}$/.test(digits) ? digits : 0);
