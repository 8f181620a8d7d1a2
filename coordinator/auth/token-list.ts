import { parseTokenLine, type TokenEntry } from "./token-line.ts";

/** The tokens of a file's text, by id. Empty lines and those that begin with `#` say nothing. */
export class TokenList {
  readonly #entries = new Map<string, TokenEntry>();

  /** @throws {Error} that names the first line that is no good */
  constructor(text: string) {
    for (const [index, raw] of text.split("\n").entries()) {
      const line = raw.trim();
      if (!line || line.startsWith("#")) continue;
      const entry = parse(line, index + 1);
      if (this.#entries.has(entry.id)) throw new Error(`line ${index + 1} has the id of an earlier one`);
      this.#entries.set(entry.id, entry);
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  find(id: string): TokenEntry | undefined {
    return this.#entries.get(id);
  }
}

const parse = (line: string, number: number): TokenEntry => {
  try {
    return parseTokenLine(line);
  } catch (error) {
    throw new Error(`line ${number} ${(error as Error).message}`);
  }
};
