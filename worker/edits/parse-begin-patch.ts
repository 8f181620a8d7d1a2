import { toText } from "./byte-text.ts";
import { type FilePatch, type Hunk, Reject } from "./patch.ts";

const BEGIN = "*** Begin Patch";
const END = "*** End Patch";
const FILE = /^\*\*\* (Add|Update|Delete) File: (.+)$/;
const MOVE = /^\*\*\* Move to: (.+)$/;
const END_OF_FILE = "*** End of File";

export const isBeginPatch = (text: string): boolean => text.trimStart().startsWith(BEGIN);

/**
 * Reads the patch language that coding models are trained on: files by `*** Add | Update | Delete File:`, hunks without line
 * numbers, found by their text and the `@@ line` before them.
 * @param text `ByteText`
 * @throws {Reject} naming the line of the patch
 */
export const parseBeginPatch = (text: string): FilePatch[] => {
  const lines = text.trimStart().replaceAll("\r\n", "\n").split("\n");
  while (lines.at(-1)?.trim() === "") lines.pop();
  if (lines.at(-1)?.trimEnd() !== END) throw new Reject(`it does not end with ${END}`);
  const reader = new Reader(lines);
  const files: FilePatch[] = [];
  while (!reader.isAtEnd) files.push(reader.file());
  if (files.length === 0) throw new Reject("it names no file");
  return files;
};

class Reader {
  #at = 1;
  #hunks = 0;

  constructor(private readonly lines: readonly string[]) {}

  get isAtEnd(): boolean {
    return this.#at >= this.lines.length - 1;
  }

  file(): FilePatch {
    const [, op, name = ""] = FILE.exec(this.#line) ?? [];
    if (op === undefined) throw this.#reject("expected *** Add File, *** Update File or *** Delete File");
    const path = toText(name.trim());
    this.#at++;
    if (op === "Delete") return { op: "delete", path, oldPath: path, mode: undefined, hunks: [] };
    if (op === "Add") return this.#added(path);
    const [, target] = MOVE.exec(this.#line) ?? [];
    if (target !== undefined) this.#at++;
    const hunks: Hunk[] = [];
    while (!this.#isNextFile) hunks.push(this.#hunk());
    if (target === undefined && hunks.length === 0) throw this.#reject(`nothing is to be changed in "${path}"`);
    const moved = target === undefined ? path : toText(target.trim());
    return { op: moved === path ? "update" : "rename", path: moved, oldPath: path, mode: undefined, hunks };
  }

  get #line(): string {
    return this.lines[this.#at] ?? END;
  }

  get #isNextFile(): boolean {
    return this.isAtEnd || FILE.test(this.#line);
  }

  #added(path: string): FilePatch {
    const newLines: string[] = [];
    for (; !this.#isNextFile; this.#at++) {
      if (!this.#line.startsWith("+")) throw this.#reject("each line of a new file begins with +");
      newLines.push(`${this.#line.slice(1)}\n`);
    }
    const hunk = { number: ++this.#hunks, oldStart: 0, anchors: [], oldLines: [], newLines, isAtEnd: false };
    return { op: "create", path, oldPath: path, mode: undefined, hunks: newLines.length > 0 ? [hunk] : [] };
  }

  #hunk(): Hunk {
    const hunk: Hunk = {
      ...{ number: ++this.#hunks, oldStart: undefined, anchors: [], isAtEnd: false },
      ...{ oldLines: [], newLines: [] },
    };
    const start = this.#at;
    for (; this.#line.startsWith("@@"); this.#at++) {
      const anchor = this.#line.slice(2).trim();
      if (anchor !== "") hunk.anchors.push(anchor);
    }
    for (; !this.#isNextFile && !this.#line.startsWith("@@"); this.#at++) {
      if (this.#line.trimEnd() === END_OF_FILE) {
        hunk.isAtEnd = true;
        this.#at++;
        break;
      }
      this.#body(hunk);
    }
    if (hunk.oldLines.length + hunk.newLines.length === 0)
      throw new Reject(`line ${start + 1} of the patch: an empty hunk`);
    return hunk;
  }

  #body({ oldLines, newLines }: Hunk): void {
    const sign = this.#line === "" ? " " : this.#line[0]!;
    if (!" -+".includes(sign)) throw this.#reject("a line of a hunk begins with a space, - or +");
    const line = `${this.#line.slice(1)}\n`;
    if (sign !== "+") oldLines.push(line);
    if (sign !== "-") newLines.push(line);
  }

  #reject(why: string): Reject {
    return new Reject(`line ${this.#at + 1} of the patch: ${why}`);
  }
}
