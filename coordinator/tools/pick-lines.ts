import { safeGrep } from "./safe-grep.ts";

const MAX_CHARACTERS = 30_000;

/** The lines that match `grep`, of these the last `tail`, of these the last that fit into one answer. */
export const pickLines = (text: string, pick: { tail: number | undefined; grep: string | undefined }): string => {
  let lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (pick.grep !== undefined) lines = safeGrep(lines, pick.grep);
  if (pick.tail !== undefined) lines = lines.slice(-pick.tail);
  let first = lines.length;
  for (let size = 0; first > 0; first--) {
    size += (lines[first - 1] ?? "").length + 1;
    if (size > MAX_CHARACTERS) break;
  }
  const left = first > 0 ? `[${first} earlier lines left out]\n` : "";
  return (
    left +
    lines
      .slice(first)
      .map((line) => `${line}\n`)
      .join("")
  );
};
