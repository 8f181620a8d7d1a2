import { AgentFailure } from "../failure.ts";

const ALTERNATIVES_MAX = 256;
const PATTERN_MAX = 1024;

/** Whether a path (`a/b/c`) fits. */
export type PathMatcher = (path: string) => boolean;

/**
 * Compiles `*`, `**`, `?`, `[a-z]`, `{a,b}`. Matching takes time in proportion to pattern × path, whatever the pattern: no
 * regular expression, whose backtracking a pattern could make endless.
 */
export const compileGlob = (pattern: string): PathMatcher => {
  if (pattern.length > PATTERN_MAX)
    throw new AgentFailure("INVALID_ARGUMENT", `The glob has more than ${PATTERN_MAX} characters`);
  const alternatives = expandBraces(pattern).map((one) => one.replace(/^\.?\//, "").split("/"));
  return (path) => {
    const segments = path.split("/");
    return alternatives.some((one) => matchSegments(one, segments));
  };
};

const expandBraces = (pattern: string): string[] => {
  let open = [pattern];
  const done: string[] = [];
  while (open.length > 0) {
    if (open.length + done.length > ALTERNATIVES_MAX)
      throw new AgentFailure("INVALID_ARGUMENT", `The glob has more than ${ALTERNATIVES_MAX} alternatives`);
    const next: string[] = [];
    for (const one of open) {
      const inner = /\{([^{}]*,[^{}]*)\}/.exec(one);
      if (!inner) done.push(one);
      else
        for (const choice of inner[1]!.split(","))
          next.push(one.slice(0, inner.index) + choice + one.slice(inner.index + inner[0].length));
    }
    open = next;
  }
  return done;
};

/** `**` stands for any number of segments; the last place where it could take one more is enough to come back to. */
const matchSegments = (pattern: readonly string[], path: readonly string[]): boolean =>
  matchWithStar(
    pattern.length,
    path.length,
    (i) => pattern[i] === "**",
    (i, j) => matchSegment(pattern[i]!, path[j]!),
  );

/** One segment against `*`, `?`, `[…]`. */
export const matchSegment = (pattern: string, text: string): boolean => {
  const tokens = tokenize(pattern);
  return matchWithStar(
    tokens.length,
    text.length,
    (i) => tokens[i] === "*",
    (i, j) => (tokens[i] as CharTest)(text[j]!),
  );
};

const matchWithStar = (
  patternLength: number,
  textLength: number,
  isStar: (i: number) => boolean,
  fits: (i: number, j: number) => boolean,
): boolean => {
  let i = 0;
  let j = 0;
  let starAt = -1;
  let starFrom = 0;
  while (j < textLength) {
    if (i < patternLength && isStar(i)) {
      starAt = i++;
      starFrom = j;
    } else if (i < patternLength && fits(i, j)) {
      i++;
      j++;
    } else if (starAt >= 0) {
      i = starAt + 1;
      j = ++starFrom;
    } else return false;
  }
  while (i < patternLength && isStar(i)) i++;
  return i === patternLength;
};

type CharTest = (char: string) => boolean;

const tokenize = (pattern: string): ("*" | CharTest)[] => {
  const tokens: ("*" | CharTest)[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    const close = char === "[" ? pattern.indexOf("]", i + 2) : -1;
    if (char === "*") {
      if (tokens.at(-1) !== "*") tokens.push("*");
    } else if (char === "?") tokens.push(() => true);
    else if (close > 0) {
      tokens.push(charClass(pattern.slice(i + 1, close)));
      i = close;
    } else {
      const literal = char === "\\" && i + 1 < pattern.length ? pattern[++i]! : char;
      tokens.push((other) => other === literal);
    }
  }
  return tokens;
};

const charClass = (inside: string): CharTest => {
  const isNegated = /^[!^]/.test(inside);
  const ranges = [...inside.slice(isNegated ? 1 : 0).matchAll(/(.)-(.)|(.)/gs)].map(
    ([, from, to, one]) => [from ?? one!, to ?? one!] as const,
  );
  return (char) => ranges.some(([from, to]) => char >= from && char <= to) !== isNegated;
};
