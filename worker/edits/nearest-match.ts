/** Of a line: what is behind says little about which line is meant. */
const LINE_MAX = 300;
/** Places of one old line that may vote: a closing brace stands everywhere and says nothing. */
const VOTES_PER_LINE = 8;
const LIKENESS_MIN = 0.4;
const SHOWN_LINES = 20;
const SHOWN_BYTES = 2_000;

export interface NearestMatch {
  /** From 1. */
  line: number;
  /** The lines there, as many as were looked for, bounded. */
  lines: string[];
  /** Reads like `it differs in whitespace`. */
  difference: string;
}

/** Where a text that does not occur was most likely meant to; undefined when nothing is like it. */
export const nearestMatch = (text: string, wanted: string): NearestMatch | undefined => {
  const lines = text.split("\n");
  const wantedLines = wanted.replace(/\n$/, "").split("\n");
  const start = byEqualLines(lines, wantedLines) ?? byLikeliestLine(lines, wantedLines);
  if (start === undefined) return undefined;
  const first = Math.max(0, start);
  const found = lines.slice(first, first + wantedLines.length);
  return { line: first + 1, lines: shown(found), difference: difference(found, wantedLines, first) };
};

/** Lines that are equal but for the space around them vote for a place. */
const byEqualLines = (lines: readonly string[], wanted: readonly string[]): number | undefined => {
  const places = new Map<string, number[]>();
  for (const [i, line] of wanted.entries()) {
    const key = line.trim();
    if (key.length < 2) continue;
    const known = places.get(key) ?? [];
    if (known.length < VOTES_PER_LINE) places.set(key, [...known, i]);
  }
  const votes = new Map<number, number>();
  for (const [i, line] of lines.entries()) {
    for (const j of places.get(line.trim()) ?? []) votes.set(i - j, (votes.get(i - j) ?? 0) + 1);
  }
  return best(votes);
};

/** The line that shares most pairs of characters with the longest line that is looked for. */
const byLikeliestLine = (lines: readonly string[], wanted: readonly string[]): number | undefined => {
  const longest = wanted.reduce((a, b, i) => (b.trim().length > wanted[a]!.trim().length ? i : a), 0);
  const pairs = pairsOf(wanted[longest]!);
  if (pairs.size === 0) return undefined;
  let [likeliest, likeness] = [-1, LIKENESS_MIN];
  for (const [i, line] of lines.entries()) {
    const own = pairsOf(line);
    let common = 0;
    for (const pair of own) if (pairs.has(pair)) common++;
    const score = common / pairs.size + common / Math.max(1, own.size) / 10; // of two that hold it, the shorter
    if (score > likeness) [likeliest, likeness] = [i, score];
  }
  return likeliest < 0 ? undefined : likeliest - longest;
};

const best = (votes: ReadonlyMap<number, number>): number | undefined => {
  let [place, most]: [number | undefined, number] = [undefined, 0];
  for (const [start, count] of votes) if (count > most) [place, most] = [start, count];
  return place;
};

const pairsOf = (line: string): Set<number> => {
  const text = line.slice(0, LINE_MAX).trim();
  const pairs = new Set<number>();
  for (let i = 1; i < text.length; i++) pairs.add(text.charCodeAt(i - 1) * 65_536 + text.charCodeAt(i));
  return pairs;
};

const difference = (found: readonly string[], wanted: readonly string[], first: number): string => {
  const squeeze = (line: string | undefined): string => (line ?? "").replace(/\s+/g, " ").trim();
  const differing = wanted.findIndex((line, i) => squeeze(line) !== squeeze(found[i]));
  if (differing >= 0) return `it differs first in line ${first + differing + 1}`;
  const withoutReturns = found.map((line) => line.replace(/\r$/, ""));
  return wanted.every((line, i) => line === withoutReturns[i])
    ? "it differs in line endings"
    : "it differs in whitespace";
};

const shown = (lines: readonly string[]): string[] => {
  const result: string[] = [];
  let bytes = 0;
  for (const line of lines.slice(0, SHOWN_LINES)) {
    bytes += line.length;
    if (bytes > SHOWN_BYTES) {
      result.push(`${line.slice(0, Math.max(0, SHOWN_BYTES - bytes + line.length))}…`);
      return result;
    }
    result.push(line);
  }
  return lines.length > SHOWN_LINES ? [...result, "…"] : result;
};
