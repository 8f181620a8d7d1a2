import { compileGlob, type PathMatcher } from "./glob.ts";

interface Rule {
  matches: PathMatcher;
  isNegated: boolean;
  onlyFolders: boolean;
}

/** The rules of one `.gitignore`, for paths relative to its folder. @see https://git-scm.com/docs/gitignore */
export class GitIgnore {
  readonly #rules: Rule[];

  constructor(text: string) {
    this.#rules = text.split(/\r?\n/).flatMap(parse);
  }

  /** Undefined when no rule says anything. */
  isIgnored(path: string, isFolder: boolean): boolean | undefined {
    const rule = this.#rules.findLast(({ matches, onlyFolders }) => (isFolder || !onlyFolders) && matches(path));
    return rule ? !rule.isNegated : undefined;
  }
}

const parse = (line: string): Rule[] => {
  const text = line.replace(/(?<!\\)\s+$/, "");
  if (text === "" || text.startsWith("#")) return [];
  const isNegated = text.startsWith("!");
  const body = isNegated ? text.slice(1) : text;
  const onlyFolders = body.endsWith("/");
  const pattern = onlyFolders ? body.slice(0, -1) : body;
  const isAnchored = pattern.includes("/");
  // Braces mean nothing to git.
  const glob = (isAnchored ? pattern.replace(/^\//, "") : `**/${pattern}`).replaceAll(/[{}]/g, "[$&]");
  try {
    return [{ matches: compileGlob(glob), isNegated, onlyFolders }];
  } catch {
    return []; // a rule that we do not understand ignores nothing
  }
};
