import { type Part, SECRET_SHAPES, type SecretShape, SHAPE_SIGNS } from "./secret-shapes.ts";

/** Bytes of a beginning that may become a secret, at most; a longer one is let go. */
const HELD_MAX = 4 * 1024;
/** Only a key's block goes on behind the end of a line. */
const HELD_OVER_LINES_MAX = 160;
const NEWLINE = 0x0a;

/** Characters before a text that tell whether a secret may begin with it. */
export const CONTEXT_BYTES = 16;
/** A secret begins behind no letter or digit, but for those that end a colour's code, an escape in JSON, one in a URL. */
const EDGE = "(?:(?<![A-Za-z0-9])|(?<=\\x1b\\[[0-9;]{0,12}[mK]|\\\\[nrt]|%[0-9A-Fa-f]{2}))";

/** What was found in a piece of text; indices in it. */
export interface Found {
  secrets: { start: number; end: number }[];
  /** From here on it may be the beginning of a secret; the text's length where nothing is. */
  heldFrom: number;
  /** The last secret reaches the end and may be longer: of these characters. */
  open: RegExp | undefined;
}

/** Finds secrets, by their shapes and by their exact values, in text whose characters are its bytes (latin1). */
export class SecretMask {
  readonly #whole: RegExp;
  readonly #begun: RegExp;
  /** By the number of the group that stands for it. */
  readonly #open: (RegExp | undefined)[];

  readonly #values: string[];

  /** @param values registered secrets, each on one line */
  constructor(values: readonly string[] = []) {
    const asBytes = values.map((value) => Buffer.from(value).toString("latin1"));
    this.#values = asBytes.toSorted((a, b) => b.length - a.length);
    const exact = this.#values.map((value) => `(${value.replace(/[^A-Za-z0-9]/g, "\\$&")})`);
    const shapes = SECRET_SHAPES.map(({ lead, body }) => `${sourceOf(lead)}(${sourceOf(body)})`);
    this.#whole = new RegExp([...exact, `${EDGE}(?:${shapes.join("|")})`].join("|"), "g");
    this.#begun = new RegExp(`${EDGE}(?:${SECRET_SHAPES.map(beginningOf).join("|")})`, "g");
    this.#open = [...this.#values.map(() => undefined), ...SECRET_SHAPES.map(openEnd)];
  }

  /** @param from where to begin; what stands before it counts as the context only */
  find(text: string, from: number): Found {
    const secrets: Found["secrets"] = [];
    let heldFrom = this.#beginning(text, from);
    let open: RegExp | undefined;
    if (!SHAPE_SIGNS.test(text) && !this.#values.some((value) => text.includes(value)))
      return { secrets, heldFrom, open };
    this.#whole.lastIndex = from;
    for (let match = this.#whole.exec(text); match && match.index < heldFrom; match = this.#whole.exec(text)) {
      const group = match.findIndex((one, i) => i > 0 && one !== undefined);
      const end = match.index + match[0].length;
      secrets.push({ start: end - match[group]!.length, end });
      if (end === text.length) open = this.#open[group - 1];
      if (end > heldFrom) heldFrom = this.#beginning(text, end);
    }
    return { secrets, heldFrom, open };
  }

  /** Where the text's end may be the beginning of a secret. */
  #beginning(text: string, from: number): number {
    const isLine = text.charCodeAt(text.length - 1) === NEWLINE;
    const after = Math.max(from, text.length - (isLine ? HELD_OVER_LINES_MAX : HELD_MAX));
    this.#begun.lastIndex = after;
    let held = this.#begun.exec(text)?.index ?? text.length;
    if (isLine) return held;
    for (const value of this.#values)
      for (let start = Math.max(after, text.length - value.length + 1); start < held; start++)
        if (value.startsWith(text.slice(start))) held = start;
    return held;
  }
}

const times = (min: number, max: number): string =>
  min === 1 && max === 1 ? "" : `{${min},${max === Number.POSITIVE_INFINITY ? "" : max}}`;

const sourceOf = (parts: readonly Part[]): string =>
  parts.map(([source, min, max]) => source + times(min, max)).join("");

/** Matches what stands at the end of a text and is the beginning of such a secret: part by part, each whole or the last. */
const beginningOf = ({ lead, body }: SecretShape): string => {
  const [first, ...rest] = [...lead, ...body];
  const last = rest.pop()!;
  // What has all that it must have is a whole one already.
  const end = `${last[0]}{0,${last[1] - 1}}$`;
  const inner = rest.reduceRight(
    (then, [source, min, max]) =>
      `(?:${source}${times(min, max)}${then}|${source}{0,${max === Number.POSITIVE_INFINITY ? "" : max}}$)`,
    `(?:${end})`,
  );
  return `${first![0]}${inner}`;
};

const openEnd = ({ body }: SecretShape): RegExp | undefined => {
  const [source, , max] = body.at(-1)!;
  return max === Number.POSITIVE_INFINITY ? new RegExp(`${source}*`, "y") : undefined;
};
