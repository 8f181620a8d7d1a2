import module, { SourceMap } from "node:module";

/** Since Node.js 22.13, which may not be what the image has. */
const { stripTypeScriptTypes } = module as typeof module & {
  stripTypeScriptTypes?: (code: string, options: { mode: "strip" | "transform"; sourceMap?: boolean }) => string;
};

export interface Script {
  code: string;
  /** Where a place of `code`, counted from 1, stood before; missing where nothing has moved. */
  toOriginal?: (line: number, column: number) => { line: number; column: number };
}

/**
 * TypeScript without its types. What only erases leaves everything where it was; enums and namespaces are code, so they
 * are transformed, with a map back.
 * @throws {SyntaxError} with the place in its message
 */
export const stripTypes = (code: string): Script => {
  if (!stripTypeScriptTypes) throw new Error("TypeScript needs Node.js 22.13 or newer in the image");
  try {
    return { code: stripTypeScriptTypes(code, { mode: "strip" }) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") throw error;
  }
  const transformed = stripTypeScriptTypes(code, { mode: "transform", sourceMap: true });
  const [body = "", base64 = ""] = transformed.split("\n\n//# sourceMappingURL=data:application/json;base64,");
  const map = new SourceMap(JSON.parse(Buffer.from(base64, "base64").toString()));
  return {
    code: body,
    toOriginal: (line, column) => {
      const entry = map.findEntry(line - 1, column - 1);
      return "originalLine" in entry
        ? { line: entry.originalLine + 1, column: entry.originalColumn + 1 }
        : { line, column };
    },
  };
};
