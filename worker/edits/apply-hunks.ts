import { isCrlf, splitLines, toCrlf, toText } from "./byte-text.ts";
import { findOccurrences } from "./find-occurrences.ts";
import { nearestMatch } from "./nearest-match.ts";
import { type Hunk, Reject } from "./patch.ts";

const NAMED_PLACES = 5;
/** Lines compared while hunks are looked for that are not where they say: it bounds what a patch can cost. */
const SEARCHED_LINES_MAX = 20_000_000;
const SHOWN = 120;

/**
 * Puts hunks into a file, each exactly: every old line must be there, byte by byte. A hunk whose line numbers are off is
 * moved only where its old lines stand at one single place. In a file whose lines all end in CRLF, a patch that is written
 * with LF alone means CRLF.
 * @param content and the hunks' lines `ByteText`
 * @throws {Reject} saying which hunk, and why
 */
export const applyHunks = (content: string, hunks: readonly Hunk[]): string => {
  const isAdapted = isCrlf(content) && isWrittenWithLf(hunks);
  const lines = splitLines(content);
  const places = new Places(lines);
  const parts: string[] = [];
  let from = 0;
  for (const original of hunks) {
    const hunk = withFileEnds(isAdapted ? adapted(original) : original, lines);
    const at = places.find(hunk, from);
    for (let i = from; i < at; i++) parts.push(lines[i]!);
    for (const line of hunk.newLines) parts.push(line);
    from = at + hunk.oldLines.length;
  }
  for (let i = from; i < lines.length; i++) parts.push(lines[i]!);
  const unended = parts.findIndex((line, i) => i < parts.length - 1 && !line.endsWith("\n"));
  if (unended >= 0)
    throw new Reject(`lines would follow "${shorten(parts[unended]!)}", which has no newline at its end`);
  return parts.join("");
};

/**
 * Such a patch names a line that cannot be in a file of CRLF lines. Where one only adds lines at line numbers, it may mean
 * LF, as git would.
 */
const isWrittenWithLf = (hunks: readonly Hunk[]): boolean =>
  !hunks.some(({ oldLines, newLines }) => [...oldLines, ...newLines].some((line) => line.includes("\r"))) &&
  hunks.some(({ oldStart, oldLines }) => oldStart === undefined || oldLines.some((line) => line.endsWith("\n")));

const adapted = (hunk: Hunk): Hunk => ({
  ...hunk,
  oldLines: hunk.oldLines.map(toCrlf),
  newLines: hunk.newLines.map(toCrlf),
});

/**
 * A hunk without line numbers cannot say that the file's last line has no newline: where it ends with that line, its own
 * last lines have none either.
 */
const withFileEnds = (hunk: Hunk, lines: readonly string[]): Hunk => {
  const last = lines.at(-1);
  if (hunk.oldStart !== undefined || last === undefined || last.endsWith("\n")) return hunk;
  const trim = (line: string): string => line.replace(/\r?\n$/, "");
  const { oldLines, newLines } = hunk;
  if (oldLines.length === 0 && hunk.anchors.length === 0)
    return {
      ...hunk,
      oldLines: [last],
      newLines: [`${last}${newLines[0]?.endsWith("\r\n") ? "\r\n" : "\n"}`, ...cut(newLines, trim)],
    };
  const tail = lines.slice(-oldLines.length);
  const isTail =
    tail.length === oldLines.length &&
    oldLines.length > 0 &&
    oldLines.every((line, i) => trim(line) === trim(tail[i]!));
  return isTail ? { ...hunk, oldLines: cut(oldLines, trim), newLines: cut(newLines, trim) } : hunk;
};

const cut = (lines: readonly string[], trim: (line: string) => string): string[] =>
  lines.map((line, i) => (i === lines.length - 1 ? trim(line) : line));

/** Finds where hunks belong in one file. */
class Places {
  /** Each different line as a number: comparing many long lines many times would cost too much. */
  readonly #numbers = new Map<string, number>();
  #ids: Int32Array | undefined;
  #searchedLines = 0;

  constructor(private readonly lines: readonly string[]) {}

  find(hunk: Hunk, from: number): number {
    const label = `hunk ${hunk.number}`;
    return hunk.oldStart === undefined
      ? this.#byText(hunk, from, label)
      : this.#byNumber(hunk, hunk.oldStart, from, label);
  }

  #byNumber({ oldLines }: Hunk, oldStart: number, from: number, label: string): number {
    const stated = oldLines.length === 0 ? oldStart : oldStart - 1;
    if (oldLines.length === 0 && stated >= from && stated <= this.lines.length) return stated;
    if (stated >= from && this.#isAt(oldLines, stated)) return stated;
    const places = this.#search(oldLines, 0, label);
    if (places.length > 1)
      throw new Reject(
        `${label}: its old lines are not at line ${oldStart}, but at lines ${named(places)}; correct its line number`,
      );
    if (places[0] !== undefined && places[0] >= from) return places[0];
    if (places[0] !== undefined)
      throw new Reject(`${label}: its old lines are at line ${places[0] + 1}, before or inside the hunk before it`);
    throw new Reject(`${label}: ${this.#mismatch(oldLines, Math.max(0, stated))}`);
  }

  #byText({ anchors, oldLines, isAtEnd }: Hunk, from: number, label: string): number {
    const after = anchors.reduce((line, anchor) => this.#after(anchor, line, label), from);
    const end = this.lines.length - oldLines.length;
    if (oldLines.length === 0) return anchors.length > 0 ? after : this.lines.length;
    if (isAtEnd) {
      if (end >= after && this.#isAt(oldLines, end)) return end;
      throw new Reject(`${label}: its old lines are not the file's last ones`);
    }
    const places = this.#search(oldLines, after, label);
    if (places[0] === undefined) throw new Reject(`${label}: ${this.#notFound(oldLines)}`);
    if (places.length > 1 && anchors.length === 0)
      throw new Reject(
        `${label}: its old lines stand at lines ${named(places)}; name the place by an @@ line or more lines`,
      );
    return places[0];
  }

  #after(anchor: string, from: number, label: string): number {
    for (let at = from; at < this.lines.length; at++) if (this.lines[at]!.trim() === anchor) return at + 1;
    throw new Reject(`${label}: no line from ${from + 1} on reads "${shorten(anchor)}"`);
  }

  #isAt(wanted: readonly string[], at: number): boolean {
    return at + wanted.length <= this.lines.length && wanted.every((line, i) => line === this.lines[at + i]);
  }

  #search(wanted: readonly string[], from: number, label: string): number[] {
    this.#searchedLines += this.lines.length + wanted.length;
    if (this.#searchedLines > SEARCHED_LINES_MAX)
      throw new Reject(`${label}: too many hunks are not where they say; correct their line numbers`);
    this.#ids ??= Int32Array.from(this.lines, (line) => this.#idOf(line));
    const needle = wanted.map((line) => this.#numbers.get(line) ?? -1);
    if (needle.includes(-1)) return [];
    const limits = { max: NAMED_PLACES + 1, isOverlapping: true };
    return findOccurrences(this.#ids.subarray(from), needle, limits).map((place) => place + from);
  }

  #idOf(line: string): number {
    const known = this.#numbers.get(line);
    if (known !== undefined) return known;
    this.#numbers.set(line, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  #mismatch(wanted: readonly string[], at: number): string {
    const differing = wanted.findIndex((line, i) => line !== this.lines[at + i]);
    const line = at + differing + 1;
    const [is, expected] = [this.lines[at + differing], wanted[differing]!];
    if (is === undefined) return `the file ends before line ${line}, which should be "${shorten(expected)}"`;
    const why = ending(is) !== ending(expected) && is.trimEnd() === expected.trimEnd() ? " (their ends differ)" : "";
    return `line ${line} is "${shorten(is)}", not "${shorten(expected)}"${why}`;
  }

  #notFound(wanted: readonly string[]): string {
    const nearest = nearestMatch(this.lines.join(""), wanted.join(""));
    if (!nearest) return "its old lines are not in the file, nor is anything like them";
    const first = shorten(nearest.lines[0] ?? "");
    return `its old lines are not in the file; the nearest are at line ${nearest.line} ("${first}"), and ${nearest.difference}`;
  }
}

const named = (places: readonly number[]): string =>
  places.length > NAMED_PLACES
    ? `${places
        .slice(0, NAMED_PLACES)
        .map((place) => place + 1)
        .join(", ")} and more`
    : places.map((place) => place + 1).join(", ");
const ending = (line: string): string => /\r?\n?$/.exec(line)?.[0] ?? "";
const shorten = (line: string): string => {
  const text = toText(line.replace(/\r?\n$/, ""));
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
};
