import { structuredPatch } from "diff";
import { splitLines } from "./byte-text.ts";

const CONTEXT = 3;
/** Past these a difference is shown as one block: finding the smallest one would hold up every other session. */
const EFFORT = { maxEditLength: 2_000, timeout: 250 };
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const LINK = 0o120000;

/** One file before and after; an absent one has the mode 0. Contents are `ByteText`. */
export interface FileVersions {
  path: string;
  oldMode: number;
  newMode: number;
  old: string;
  new: string;
}

export interface FileDiff {
  /** As `git diff` writes it, so that `git apply` takes it; empty when nothing differs. `ByteText`. */
  text: string;
  insertions: number;
  deletions: number;
  isBinary: boolean;
}

interface Hunk {
  oldStart: number;
  oldLines: number;
  newStart: number;
  newLines: number;
  /** Each begins with a space, `-` or `+`, or is git's note about a missing newline. */
  lines: string[];
}

export const fileDiff = (file: FileVersions): FileDiff => {
  if (isTypeChange(file)) {
    const gone = fileDiff({ ...file, newMode: 0, new: "" });
    const made = fileDiff({ ...file, oldMode: 0, old: "" });
    return {
      ...made,
      text: gone.text + made.text,
      deletions: gone.deletions,
      isBinary: gone.isBinary || made.isBinary,
    };
  }
  const header = headerOf(file);
  const isBinary = file.old.includes("\0") || file.new.includes("\0");
  if (isBinary && file.old !== file.new)
    return { text: `${header}Binary files differ\n`, insertions: 0, deletions: 0, isBinary };
  const hunks = file.old === file.new ? [] : hunksOf(file.old, file.new);
  const lines = hunks.flatMap((hunk) => hunk.lines);
  const count = (sign: string): number => lines.reduce((sum, line) => sum + (line.startsWith(sign) ? 1 : 0), 0);
  const [from, to] = [
    file.oldMode ? name("a/", file.path) : "/dev/null",
    file.newMode ? name("b/", file.path) : "/dev/null",
  ];
  const names = hunks.length > 0 ? `--- ${from}\n+++ ${to}\n` : "";
  const body = hunks.map((hunk) => `${rangesOf(hunk)}\n${hunk.lines.join("\n")}\n`).join("");
  return { text: header + names + body, insertions: count("+"), deletions: count("-"), isBinary };
};

/** A file that became a link, or the other way round: to git that is one that went and one that came. */
const isTypeChange = ({ oldMode, newMode }: FileVersions): boolean =>
  oldMode !== 0 && newMode !== 0 && (oldMode === LINK) !== (newMode === LINK);

const headerOf = ({ path, oldMode, newMode }: FileVersions): string => {
  const modes =
    oldMode === newMode
      ? ""
      : oldMode === 0
        ? `new file mode ${newMode.toString(8)}\n`
        : newMode === 0
          ? `deleted file mode ${oldMode.toString(8)}\n`
          : `old mode ${oldMode.toString(8)}\nnew mode ${newMode.toString(8)}\n`;
  return `diff --git ${name("a/", path).replace(/\t$/, "")} ${name("b/", path).replace(/\t$/, "")}\n${modes}`;
};

/** As git quotes a name in C's way; a tab ends a name that holds a space. */
const name = (prefix: string, path: string): string => {
  const bytes = Buffer.from(prefix + path).toString("latin1");
  if (PLAIN.test(bytes)) return bytes.includes(" ") ? `${bytes}\t` : bytes;
  const quoted = [...bytes].map((char) =>
    PLAIN.test(char) ? char : `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
  return `"${quoted.join("")}"`;
};

const hunksOf = (old: string, next: string): Hunk[] =>
  structuredPatch("", "", old, next, undefined, undefined, { context: CONTEXT, ...EFFORT })?.hunks ?? [
    oneBlock(old, next),
  ];

/** Everything between the first and the last line that differ, as one change. */
const oneBlock = (old: string, next: string): Hunk => {
  const [a, b] = [splitLines(old), splitLines(next)];
  let head = 0;
  while (head < Math.min(a.length, b.length) && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const from = Math.max(0, head - CONTEXT);
  const after = Math.min(tail, CONTEXT);
  const signed = (sign: string, lines: readonly string[]): string[] =>
    lines.flatMap((line) =>
      line.endsWith("\n") ? [sign + line.slice(0, -1)] : [sign + line, "\\ No newline at end of file"],
    );
  return {
    oldStart: from + 1,
    oldLines: a.length - tail + after - from,
    newStart: from + 1,
    newLines: b.length - tail + after - from,
    lines: [
      ...signed(" ", a.slice(from, head)),
      ...signed("-", a.slice(head, a.length - tail)),
      ...signed("+", b.slice(head, b.length - tail)),
      ...signed(" ", a.slice(a.length - tail, a.length - tail + after)),
    ],
  };
};

/** An empty range names the line before it. */
const rangesOf = ({ oldStart, oldLines, newStart, newLines }: Hunk): string =>
  `@@ -${oldLines ? oldStart : oldStart - 1},${oldLines} +${newLines ? newStart : newStart - 1},${newLines} @@`;
