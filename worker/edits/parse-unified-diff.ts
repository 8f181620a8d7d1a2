import { type FilePatch, type Hunk, Reject } from "./patch.ts";

const NO_NEWLINE = "\\ No newline at end of file";
const RANGES = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/;
const UNSUPPORTED: readonly [RegExp, string][] = [
  [/^(GIT binary patch|Binary files )/, "binary patches are not taken; use write_file with base64"],
  [/^(new file |deleted file |old |new )?mode 1[26]0000|^index \S+ 1[26]0000/, "links and submodules are not taken"],
  [/^copy from /, "copies are not taken; create the file instead"],
];

interface Names {
  git: boolean;
  from: string | undefined;
  to: string | undefined;
  renameFrom: string | undefined;
  renameTo: string | undefined;
  isNew: boolean;
  isDeleted: boolean;
  mode: number | undefined;
  gitNames: string;
}

/**
 * Reads a unified diff, plain or git's. Line numbers and counts are taken as they are: a hunk that does not hold as many
 * lines as it says is refused, because where it ends would be a guess.
 * @param text `ByteText`
 * @throws {Reject} naming the line of the patch
 */
export const parseUnifiedDiff = (text: string): FilePatch[] => {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const reader = new Reader(withoutTransportReturns(lines));
  const files: FilePatch[] = [];
  while (reader.skipToFile()) files.push(reader.file());
  if (files.length === 0) throw new Reject("it holds no file: neither `--- a/NAME` and `+++ b/NAME` nor `diff --git`");
  return files;
};

/** A patch that came with CRLF throughout, headers included, is one with LF. */
const withoutTransportReturns = (lines: string[]): string[] =>
  lines.some((line) => RANGES.test(line) && line.endsWith("\r")) ? lines.map((line) => line.replace(/\r$/, "")) : lines;

class Reader {
  #at = 0;
  #hunks = 0;

  constructor(private readonly lines: readonly string[]) {}

  /** Prose before a file's header is passed over; a hunk without a header is not. */
  skipToFile(): boolean {
    for (; this.#at < this.lines.length; this.#at++) {
      const line = this.lines[this.#at]!;
      if (line.startsWith("diff --git ") || this.#isNamePair()) return true;
      if (RANGES.test(line)) this.#fail("this hunk belongs to no file: `--- a/NAME` and `+++ b/NAME` come first");
    }
    return false;
  }

  file(): FilePatch {
    const names = this.#header();
    const hunks: Hunk[] = [];
    while (RANGES.test(this.lines[this.#at] ?? "")) hunks.push(this.#hunk());
    return this.#toPatch(names, hunks);
  }

  #header(): Names {
    const names: Names = {
      ...{ git: false, from: undefined, to: undefined, renameFrom: undefined, renameTo: undefined },
      ...{ isNew: false, isDeleted: false, mode: undefined, gitNames: "" },
    };
    if (this.lines[this.#at]!.startsWith("diff --git ")) {
      names.git = true;
      names.gitNames = this.lines[this.#at++]!.slice("diff --git ".length);
      while (this.#at < this.lines.length && !this.#isNamePair() && this.#extended(names)) this.#at++;
    }
    if (!this.#isNamePair()) return names;
    names.from = fileName(this.lines[this.#at++]!.slice(4));
    names.to = fileName(this.lines[this.#at++]!.slice(4));
    return names;
  }

  /** Takes one of git's own header lines; false when it is none. */
  #extended(names: Names): boolean {
    const line = this.lines[this.#at]!;
    for (const [pattern, why] of UNSUPPORTED) if (pattern.test(line)) this.#fail(why);
    const [, word, value] =
      /^(new file mode|deleted file mode|old mode|new mode|rename from|rename to|index|similarity index|dissimilarity index) (.*)$/.exec(
        line,
      ) ?? [];
    if (word === undefined || value === undefined) return false;
    if (word === "new file mode") names.isNew = true;
    if (word === "deleted file mode") names.isDeleted = true;
    if (word === "new mode" || word === "new file mode") names.mode = permissions(value);
    if (word === "rename from") names.renameFrom = fileName(value);
    if (word === "rename to") names.renameTo = fileName(value);
    return true;
  }

  #isNamePair(): boolean {
    return (this.lines[this.#at] ?? "").startsWith("--- ") && (this.lines[this.#at + 1] ?? "").startsWith("+++ ");
  }

  #hunk(): Hunk {
    const start = this.#at++;
    const [, oldStart = "", oldCount = "1", , newCount = "1"] = RANGES.exec(this.lines[start]!)!;
    const [oldTotal, newTotal] = [Number(oldCount), Number(newCount)];
    const hunk: Hunk = {
      ...{ number: ++this.#hunks, oldStart: Number(oldStart), anchors: [], isAtEnd: false },
      ...{ oldLines: [], newLines: [] },
    };
    const { oldLines, newLines } = hunk;
    while (oldLines.length < oldTotal || newLines.length < newTotal) {
      const line = this.lines[this.#at] ?? "@@";
      const sign = line === "" || line === "\r" ? " " : line[0]!; // mail and editors cut the space of an empty line
      if (!" -+".includes(sign)) break;
      this.#at++;
      const text = line === "" || line === "\r" ? line : line.slice(1);
      const isLast = this.lines[this.#at]?.startsWith(NO_NEWLINE.slice(0, 12)) ?? false;
      if (isLast) this.#at++;
      const ended = isLast ? text : `${text}\n`;
      if (sign !== "+") oldLines.push(ended);
      if (sign !== "-") newLines.push(ended);
    }
    if (oldLines.length !== oldTotal || newLines.length !== newTotal || /^[ +-]/.test(this.#next()))
      throw new Reject(
        `hunk ${hunk.number} (line ${start + 1} of the patch) says ${oldTotal} old and ${newTotal} new lines, and holds others; correct its @@ line, or send the patch as *** Begin Patch, which needs no numbers`,
      );
    return hunk;
  }

  /** The line after a hunk, unless a file begins there. */
  #next(): string {
    const line = this.lines[this.#at] ?? "";
    const isSignature = line === "-- "; // of mail, before git's version
    return isSignature || (line !== "" && this.#isNamePair()) ? "" : line;
  }

  #toPatch(names: Names, hunks: Hunk[]): FilePatch {
    const common = names.git ? sameName(names.gitNames) : undefined;
    const { from, to } = stripPrefixes(names.from ?? common?.from, names.to ?? common?.to, names.git);
    const { mode, renameFrom, renameTo } = names;
    const isNew = names.isNew || from === "/dev/null";
    const isDeleted = names.isDeleted || to === "/dev/null";
    if (renameFrom !== undefined && renameTo !== undefined) {
      if (names.from !== undefined && (from !== renameFrom || to !== renameTo)) throw differ(from, to);
      return { op: "rename", oldPath: renameFrom, path: renameTo, mode, hunks };
    }
    const path = isDeleted ? from : to;
    if (path === undefined || path === "" || path === "/dev/null")
      throw new Reject(`a file's name cannot be read (before line ${this.#at + 1} of the patch)`);
    if ((!isNew && !isDeleted && from !== to) || (common && path !== stripPrefixes(common.from, common.to, true).to))
      throw differ(from, to);
    if (hunks.length === 0 && mode === undefined && !isNew && !isDeleted)
      throw new Reject(`nothing is to be changed in "${path}": it has no hunk`);
    return { op: isNew ? "create" : isDeleted ? "delete" : "update", path, oldPath: path, mode, hunks };
  }

  #fail(why: string): never {
    throw new Reject(`line ${this.#at + 1} of the patch: ${why}`);
  }
}

const differ = (from: string | undefined, to: string | undefined): Reject =>
  new Reject(`the names of a file differ ("${from}", "${to}"); say \`rename from\` and \`rename to\` to move one`);

const permissions = (mode: string): number => Number.parseInt(mode.slice(-3), 8);

/** A name as it stands after `---`: quoted in C's way, or up to a tab. */
const fileName = (text: string): string => {
  const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(text.trim());
  const name = quoted ? unquote(quoted[1]!) : text.replace(/[\t\r].*$/, "");
  return Buffer.from(name, "latin1").toString();
};

const ESCAPES: Record<string, string> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };
const unquote = (text: string): string =>
  text.replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8) & 0xff) : (ESCAPES[code] ?? code),
  );

/** Of `a/NAME b/NAME`, where no other line says the name: both halves are the same. */
const sameName = (text: string): { from: string; to: string } | undefined => {
  if (text.startsWith('"')) {
    const [, a, b] = /^("(?:[^"\\]|\\.)*") ("(?:[^"\\]|\\.)*")\r?$/.exec(text) ?? [];
    return a && b ? { from: fileName(a), to: fileName(b) } : undefined;
  }
  const half = (text.length - 1) / 2;
  const [a, b] = [text.slice(0, half), text.slice(half + 1)];
  return a.slice(2) === b.slice(2) ? { from: fileName(a), to: fileName(b) } : undefined;
};

/** `a/` and `b/` are taken away where both names have them, or the one that is not /dev/null. */
const stripPrefixes = (
  from: string | undefined,
  to: string | undefined,
  isGit: boolean,
): { from: string | undefined; to: string | undefined } => {
  const has = (name: string | undefined, prefix: string): boolean =>
    name === undefined || name === "/dev/null" || name.startsWith(prefix);
  const strip = (name: string | undefined): string | undefined =>
    name === undefined || name === "/dev/null" ? name : name.replace(/^[^/]*\//, "");
  return isGit || (has(from, "a/") && has(to, "b/")) ? { from: strip(from), to: strip(to) } : { from, to };
};
