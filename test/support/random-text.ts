import fc from "fast-check";

/** How often a property is tried: quick by default, thoroughly in `npm run test:tools`. */
export const PROPERTY_RUNS = Number(process.env.PROPERTY_RUNS ?? 30);

const WORDS = [
  "",
  "}",
  "a",
  "b",
  "\tif (x) {",
  "  return 1;",
  "# é 漢",
  "trailing  ",
  "--- a",
  "+++ b",
  "@@",
  "\\",
  "*** End Patch",
];
const line = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.string({ maxLength: 12, unit: fc.constantFrom(..."ab \té-+@") }) },
);

export type LineEnd = "lf" | "crlf" | "mixed";

/** Texts with few different lines, so that places repeat; any line ends; with and without a newline at the end. */
export const randomText = (end?: LineEnd, maxLength = 30): fc.Arbitrary<string> =>
  fc
    .record({
      lines: fc.array(line, { maxLength }),
      end: end ? fc.constant(end) : fc.constantFrom<LineEnd>("lf", "lf", "crlf", "mixed"),
      isEnded: fc.boolean(),
      mix: fc.infiniteStream(fc.boolean()),
    })
    .map(({ lines, end: ending, isEnded, mix }) => {
      const newline = (): string =>
        ending === "lf" ? "\n" : ending === "crlf" ? "\r\n" : mix.next().value ? "\r\n" : "\n";
      return lines.map((text, i) => text + (i < lines.length - 1 || isEnded ? newline() : "")).join("");
    });

/** A text and what an author could have made of it: some lines removed, changed, added; the end with or without a newline. */
export const randomChange = (): fc.Arbitrary<{ before: string; after: string }> =>
  fc
    .tuple(
      randomText(),
      fc.array(fc.tuple(fc.nat(40), fc.constantFrom("remove", "insert", "replace"), line), { maxLength: 5 }),
      fc.boolean(),
    )
    .map(([before, steps, cutsEnd]) => {
      const lines = before.match(/[^\n]*\n|[^\n]+/g) ?? [];
      for (const [at, step, text] of steps) {
        const place = Math.min(at, lines.length);
        lines.splice(place, step === "insert" ? 0 : 1, ...(step === "remove" ? [] : [`${text}\n`]));
      }
      const joined = lines.join("");
      return { before, after: cutsEnd ? joined.replace(/\r?\n$/, "") : joined };
    });
