/** A class of characters, or one, and how often it stands there. */
export type Part = readonly [source: string, min: number, max: number];

/** How a kind of secret is told: what stands in front of it is left as it is, what follows is masked. */
export interface SecretShape {
  lead: readonly Part[];
  /** The last part may have no upper bound. */
  body: readonly Part[];
}

const ANY = Number.POSITIVE_INFINITY;
const WORD = "[A-Za-z0-9_-]";

const exactly = (text: string): Part[] => [...text].map((c) => [c.replace(/[^A-Za-z0-9_ -]/, "\\$&"), 1, 1]);
const inAnyCase = (text: string): Part[] => [...text].map((c) => [`[${c.toLowerCase()}${c.toUpperCase()}]`, 1, 1]);
const token = (lead: string, characters: string, min: number, max = ANY): SecretShape => ({
  lead: exactly(lead),
  body: [[characters, min, max]],
});
/** A value behind a name, as in a shell, in JSON, in an ini file. */
const assigned = (name: Part[], characters: string, length: number): SecretShape => ({
  lead: [...name, ["[\"']", 0, 1], ["[ \\t]", 0, 4], ["[=:]", 1, 1], ["[ \\t]", 0, 4], ["[\"']", 0, 1]],
  body: [[characters, length, length]],
});

export const SECRET_SHAPES: readonly SecretShape[] = [
  ...["AKIA", "ASIA"].map((lead) => token(lead, "[A-Z0-9]", 16, 16)),
  assigned(
    [...inAnyCase("secret"), ["_", 0, 1], ...inAnyCase("access"), ["_", 0, 1], ...inAnyCase("key")],
    "[A-Za-z0-9/+]",
    40,
  ),
  { lead: [...exactly("gh"), ["[pousr]", 1, 1], ["_", 1, 1]], body: [["[A-Za-z0-9]", 36, ANY]] },
  token("github_pat_", "[A-Za-z0-9_]", 36),
  token("glpat-", WORD, 20),
  token("npm_", "[A-Za-z0-9]", 36),
  token("pypi-", WORD, 40),
  { lead: [["[rs]", 1, 1], ...exactly("k_live_")], body: [["[A-Za-z0-9]", 20, ANY]] },
  { lead: [...exactly("xox"), ["[abeprs]", 1, 1], ["-", 1, 1]], body: [["[A-Za-z0-9-]", 10, ANY]] },
  token("AIza", WORD, 35, 35),
  token("sk-", "[A-Za-z0-9]", 32),
  ...["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-ant-", "sk-or-"].map((lead) => token(lead, WORD, 32)),
  {
    // Behind no character of its own: else each of many in one long word would be looked at to the word's end.
    lead: [["(?<![A-Za-z0-9_-])e", 1, 1], ...exactly("yJ")],
    body: [[WORD, 8, ANY], ["\\.", 1, 1], ...exactly("eyJ"), [WORD, 8, ANY], ["\\.", 1, 1], [WORD, 16, ANY]],
  },
  {
    lead: [
      ...exactly("-----BEGIN "),
      ["[A-Z]", 0, 10],
      [" ", 0, 1],
      ...exactly("PRIVATE KEY"),
      ["[BLOCK ]", 0, 6],
      ...exactly("-----"),
    ],
    body: [["[A-Za-z0-9+/=\\s\\\\]", 64, ANY]],
  },
];

/** Whatever has a shape has one of these in it: most output has none, and is not looked through any further. */
export const SHAPE_SIGNS =
  /AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|npm_|pypi-|k_live_|xox[abeprs]-|AIza|sk-|eyJ|-----BEGIN |[aA][cC][cC][eE][sS][sS]_?[kK][eE][yY]/;
