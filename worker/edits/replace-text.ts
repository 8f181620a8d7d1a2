import { MAX_FILE_BYTES } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { type ByteText, fromText, isCrlf, toCrlf, toText } from "./byte-text.ts";
import { findOccurrences } from "./find-occurrences.ts";
import { nearestMatch } from "./nearest-match.ts";

const REPLACEMENTS_MAX = 100_000;
const NAMED_LINES = 10;

export interface Edit {
  path: string;
  oldString: string;
  newString: string;
  replaceAll: boolean;
}

/**
 * Puts `newString` where `oldString` stands, exactly, byte by byte. One thing is adapted: in a file whose lines all end in
 * CRLF, an edit that is written with LF alone means CRLF, because models are hardly ever shown the difference.
 * @throws {ToolFailure} EDIT_NO_MATCH with the nearest match, EDIT_NOT_UNIQUE with the lines
 */
export const replaceText = (file: ByteText, edit: Edit): { content: ByteText; replacements: number } => {
  const isAdapted = isCrlf(file) && !edit.oldString.includes("\r") && !edit.newString.includes("\r");
  const adapt = (text: string): string => (isAdapted ? toCrlf(fromText(text)) : fromText(text));
  const [wanted, replacement] = [adapt(edit.oldString), adapt(edit.newString)];
  const max = edit.replaceAll ? REPLACEMENTS_MAX + 1 : NAMED_LINES + 1;
  const places = findOccurrences(file, wanted, { max, isOverlapping: !edit.replaceAll });
  if (places.length === 0) throw noMatch(edit.path, file, wanted);
  if (places.length > 1 && !edit.replaceAll) throw notUnique(edit.path, file, places);
  if (places.length > REPLACEMENTS_MAX)
    throw new ToolFailure("INVALID_ARGUMENT", `old_string occurs more than ${REPLACEMENTS_MAX} times`, {
      hint: "Use sed with run_command for as many.",
    });
  const newSize = file.length + places.length * (replacement.length - wanted.length);
  if (newSize > MAX_FILE_BYTES)
    throw new ToolFailure(
      "FILE_TOO_LARGE",
      `"${edit.path}" would have ${newSize} bytes; the limit is ${MAX_FILE_BYTES}`,
    );
  const parts: string[] = [];
  let from = 0;
  for (const place of places) {
    parts.push(file.slice(from, place), replacement);
    from = place + wanted.length;
  }
  parts.push(file.slice(from));
  return { content: parts.join("") as ByteText, replacements: places.length };
};

const noMatch = (path: string, file: ByteText, wanted: string): ToolFailure => {
  const nearest = nearestMatch(file, wanted);
  if (!nearest)
    return new ToolFailure("EDIT_NO_MATCH", `old_string does not occur in "${path}", nor does anything like it`, {
      hint: "Read the file, then copy the text to replace from it.",
    });
  const { line, lines, difference } = nearest;
  const text = lines.map((one) => toText(one).replace(/\r$/, "")).join("\n");
  return new ToolFailure(
    "EDIT_NO_MATCH",
    `old_string does not occur in "${path}"; the nearest match begins at line ${line}, and ${difference}`,
    { hint: `Copy old_string from the file. Its text from line ${line} on is:\n${text}` },
  );
};

const notUnique = (path: string, file: ByteText, places: readonly number[]): ToolFailure => {
  let [line, from] = [1, 0];
  const lines = places.slice(0, NAMED_LINES).map((place) => {
    for (let at = file.indexOf("\n", from); at >= 0 && at < place; at = file.indexOf("\n", from)) {
      line++;
      from = at + 1;
    }
    return line;
  });
  const times = places.length > NAMED_LINES ? `more than ${NAMED_LINES}` : places.length;
  return new ToolFailure(
    "EDIT_NOT_UNIQUE",
    `old_string occurs ${times} times in "${path}", at lines ${lines.join(", ")}`,
    {
      hint: "Put more of the surrounding lines into old_string, or set replace_all.",
    },
  );
};
