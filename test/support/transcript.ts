import type { ToolAnswer } from "./tool-client.ts";

/** What differs from run to run, and what stands for it. */
const MASKS: readonly [RegExp, string][] = [
  [/\b(ses|proc|call|art|ckpt)_[a-z0-9_]+/g, "$1_…"],
  [/\b[0-9a-f]{64}\b/g, "…"],
  [/https?:\/\/[^\s)"]+/g, "http://…"],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "…"],
  [/\b\d+ files, \d+ bytes\b/g, "… files, … bytes"],
  [/\(\d+ bytes, application/g, "(… bytes, application"], // how well a file packs depends on the times in it
  [/\bin \d+(\.\d+)? ?s\b/g, "in … s"],
  [/\b(duration_ms|duration)([ :]+)\d+(\.\d+)?/g, "$1$2…"],
  [/\(\d+(\.\d+)?m?s\)/g, "(… ms)"],
  [/(\t|\s)\d+\.\d+s\b/g, "$1…s"],
  [/[ \t]+$/gm, ""],
];
const SHOWN_LINES = 40;

/** A session as a person reads it: what was called with what, and the text that a model gets. */
export class Transcript {
  readonly #parts: string[] = [];

  heading(level: number, text: string): void {
    this.#parts.push(`${"#".repeat(level)} ${text}`);
  }

  say(text: string): void {
    this.#parts.push(text);
  }

  call(name: string, args: Record<string, unknown>, answer: ToolAnswer): void {
    const told = Object.entries(args).map(([key, value]) => argument(key, value));
    this.#parts.push(`\`${name}\` ${told.filter((one) => !one.includes("\n")).join(", ")}`.trim());
    for (const long of told.filter((one) => one.includes("\n"))) this.#parts.push(long);
    this.#parts.push(fence(shorten(mask(answer.text))));
  }

  toString(): string {
    return `${this.#parts.join("\n\n")}\n`;
  }
}

const argument = (key: string, value: unknown): string =>
  typeof value === "string" && value.includes("\n")
    ? `${key}:\n\n${fence(value.trimEnd())}`
    : `${key} \`${typeof value === "string" ? mask(value) : JSON.stringify(value)}\``;

const fence = (text: string): string => `\`\`\`\`\n${text}\n\`\`\`\``;
const mask = (text: string): string => MASKS.reduce((masked, [what, by]) => masked.replace(what, by), text).trimEnd();
const shorten = (text: string): string => {
  const lines = text.split("\n");
  return lines.length > SHOWN_LINES ? [...lines.slice(0, SHOWN_LINES), "…"].join("\n") : text;
};
