import { type Export, type Import, parse } from "es-module-lexer/js";

/** Global names that rewritten code uses instead of `import(…)` and `import.meta`, which scripts have not. */
export const IMPORTER = "__import__";
export const IMPORT_META = "__import_meta__";

interface Edit {
  from: number;
  to: number;
  text: string;
}

/**
 * Code of a module as code of a script: `import … from "x"` becomes `const … = await __import__("x")`, and `export` goes.
 * Lines stay where they are. Code that cannot be read is left alone: V8 says what is wrong with it.
 */
export const rewriteModules = (code: string): string => {
  let imports: readonly Import[];
  let exports: readonly Export[];
  try {
    [imports, exports] = parse(code);
  } catch {
    return code;
  }
  const statements = new Set(exports.map(({ exportStart }) => exportStart));
  const edits = [
    ...imports.map((one) => importEdit(code, one)),
    ...[...statements].map((start) => exportEdit(code, start)),
  ].filter((edit) => edit !== undefined);
  edits.sort((a, b) => b.from - a.from);
  return edits.reduce((text, { from, to, text: own }) => text.slice(0, from) + own + text.slice(to), code);
};

const importEdit = (code: string, { type, importStart: from, importEnd: to }: Import): Edit | undefined => {
  if (type === "import-meta") return { from, to, text: IMPORT_META };
  if (type === "dynamic") return { from, to: from + "import".length, text: IMPORTER };
  const statement = code.slice(from, to);
  const match = /^import\s*(?:([^'"]*?)\s*from\s*)?('[^']*'|"[^"]*")\s*(?:with\s*(\{[^}]*\}))?\s*$/.exec(statement);
  if (!match) return undefined;
  const [, clause, name, attributes] = match;
  const call = `await ${IMPORTER}(${name}${attributes ? `, { with: ${attributes} }` : ""})`;
  return { from, to, text: bind(clause, call) + linesOf(statement) };
};

/** `clause` is what stands between `import` and `from`. */
const bind = (clause: string | undefined, call: string): string => {
  if (!clause) return call;
  const [, alone, rest = ""] = /^(?:([\w$]+)\s*,?\s*)?([\s\S]*)$/.exec(clause) ?? [];
  const [, space] = /^\*\s*as\s+([\w$]+)$/.exec(rest) ?? [];
  if (space) return `const ${space} = ${call}${alone ? `, ${alone} = ${space}.default` : ""}`;
  const named = rest.replaceAll(/[{}\n]/g, " ").replaceAll(/\s+as\s+/g, ": ");
  const names = [...(alone ? [`default: ${alone}`] : []), ...(named.trim() ? [named.trim()] : [])];
  return `const { ${names.join(", ")} } = ${call}`;
};

/** A list of names goes as a whole, a declaration or a default loses its keywords; from another module it is no script's. */
const exportEdit = (code: string, from: number): Edit | undefined => {
  const head = code.slice(from);
  const [gone] = /^export\s*\{[^}]*\}(?!\s*from)/.exec(head) ?? /^export\s+(?:default\s+)?(?![\s{*])/.exec(head) ?? [];
  return gone === undefined ? undefined : { from, to: from + gone.length, text: linesOf(gone) };
};

const linesOf = (text: string): string => "\n".repeat(text.split("\n").length - 1);
