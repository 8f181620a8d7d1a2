/** A patch, read: what it wants of each file, in its order. */
export interface FilePatch {
  op: "create" | "update" | "delete" | "rename";
  /** Where it is, and for a rename where it was. */
  path: string;
  oldPath: string;
  /** Permissions that it gets; undefined: it keeps its own. */
  mode: number | undefined;
  hunks: Hunk[];
}

/** Old lines, and the new ones that take their place. Lines have their ends; contents are `ByteText`. */
export interface Hunk {
  /** In the patch, from 1, to name it in a refusal. */
  number: number;
  /** First old line in the file, from 1 (or, without old lines, the line before it); undefined: it is found by its text. */
  oldStart: number | undefined;
  /** Lines to go past first, each the next one from there on that reads so. */
  anchors: string[];
  oldLines: string[];
  newLines: string[];
  /** Its old lines are the file's last ones. */
  isAtEnd: boolean;
}

/** Why a part of a patch is refused. */
export class Reject extends Error {
  override readonly name = "Reject";
}
