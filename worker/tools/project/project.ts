import { posix } from "node:path";
import { ToolFailure } from "../../../shared/failure.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";

const MAX_TEXT_BYTES = 256 * 1024;
const MAX_ENTRIES = 2_000;
/** How deep tests and sources are looked for, and how many names are looked at. */
const FIND_DEPTH = 5;
const FIND_LIMIT = 200;
const NOT_OURS = /(^|\/)(node_modules|\.venv|venv|target|vendor|dist|build)\//;

/** A folder of the workspace that may hold a project, as far as its tools can be recognised. */
export class Project {
  private constructor(
    private readonly sandbox: Sandbox,
    /** Relative to the workdir; "" for the workdir itself. */
    readonly root: string,
    private readonly entries: ReadonlyMap<string, string>,
  ) {}

  /** @throws {ToolFailure} NOT_FOUND, NOT_A_DIRECTORY */
  static async open(sandbox: Sandbox, root: string): Promise<Project> {
    const options = { glob: "", depth: 1, includeHidden: true, respectGitignore: false, limit: MAX_ENTRIES };
    const { entries } = await sandbox.listFiles({ path: root || ".", ...options });
    return new Project(sandbox, root, new Map(entries.map(({ path, type }) => [posix.basename(path), type])));
  }

  get workdir(): string {
    return this.sandbox.workdir;
  }

  /** The first of these files that is there. */
  first(...names: string[]): string | undefined {
    return names.find((name) => this.entries.has(name));
  }

  has(...names: string[]): boolean {
    return this.first(...names) !== undefined;
  }

  get folders(): string[] {
    return [...this.entries].filter(([name, type]) => type === "dir" && !name.startsWith(".")).map(([name]) => name);
  }

  /** The text of one of the project's files; undefined where there is none. */
  async read(path: string): Promise<string | undefined> {
    try {
      const file = await this.sandbox.readFile({ path: this.inWorkdir(path), maxBytes: BigInt(MAX_TEXT_BYTES) });
      return Buffer.from(file.content).toString();
    } catch (error) {
      if (error instanceof ToolFailure && ["NOT_FOUND", "NOT_A_FILE", "PATH_OUTSIDE_WORKSPACE"].includes(error.code))
        return undefined;
      throw error;
    }
  }

  /** Whether one of these files is there and says this. */
  async says(pattern: RegExp, ...names: string[]): Promise<boolean> {
    for (const name of names) {
      if (this.has(name) && pattern.test((await this.read(name)) ?? "")) return true;
    }
    return false;
  }

  /** package.json, as far as it can be understood. */
  async packageJson(): Promise<{ scripts: Record<string, string>; dependencies: Set<string>; keys: Set<string> }> {
    let json: Record<string, Record<string, string>> = {};
    try {
      if (this.has("package.json")) json = JSON.parse((await this.read("package.json")) ?? "{}");
    } catch {
      // its author is told by npm
    }
    const dependencies = { ...json?.dependencies, ...json?.devDependencies };
    const keys = new Set(Object.keys(json ?? {}));
    return { scripts: json?.scripts ?? {}, dependencies: new Set(Object.keys(dependencies)), keys };
  }

  /** Files below the root that match, relative to it; what tools install or build is left out. */
  async find(glob: string): Promise<string[]> {
    const options = { includeHidden: false, respectGitignore: true, limit: FIND_LIMIT };
    const { entries } = await this.sandbox.listFiles({ path: this.root || ".", glob, depth: FIND_DEPTH, ...options });
    const prefix = this.root ? `${this.root}/` : "";
    return entries
      .filter(({ type }) => type === "file")
      .map(({ path }) => (path.startsWith(prefix) ? path.slice(prefix.length) : path))
      .filter((path) => !NOT_OURS.test(path));
  }

  /** A path of the project as the workspace names it. */
  inWorkdir(path: string): string {
    return posix.join(this.root, path);
  }

  /** A path that a tool printed, absolute or relative to the root, as the workspace names it. */
  shown(path: string): string {
    const absolute = posix.resolve(this.workdir, this.root, path.replace(/^file:\/\//, ""));
    return absolute.startsWith(`${this.workdir}/`) ? absolute.slice(this.workdir.length + 1) : absolute;
  }
}

/**
 * A path argument, relative to the workdir. A part after `::` (a pytest id) stays.
 * @throws {ToolFailure} PATH_OUTSIDE_WORKSPACE; INVALID_ARGUMENT for what a tool would take for an option
 */
export const toWorkdirPath = (path: string, workdir: string): string => {
  const absolute = posix.resolve(workdir, path);
  if (absolute !== workdir && !absolute.startsWith(`${workdir}/`))
    throw new ToolFailure("PATH_OUTSIDE_WORKSPACE", `"${path}" is outside the workspace`);
  const relative = absolute.slice(workdir.length + 1);
  if (relative.startsWith("-")) throw new ToolFailure("INVALID_ARGUMENT", `"${path}" begins like an option`);
  return relative;
};

/** A path of the workspace as a command in the project's root names it. */
export const withinProject = (path: string, { root }: Project): string => {
  if (root === "") return path;
  if (path === root) return ".";
  return path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
};

/**
 * The project that paths belong to: the nearest folder above the first of them where `isOne`, else the workdir, else its
 * only subfolder where `isOne`; else the workdir, with the subfolders that would all do.
 */
export const findProject = async (
  sandbox: Sandbox,
  paths: readonly string[],
  isOne: (project: Project) => Promise<boolean>,
): Promise<{ project: Project; candidates: string[] }> => {
  const [first] = paths;
  if (first !== undefined) {
    for (let folder = posix.dirname(first.split("::")[0]!); folder !== "."; folder = posix.dirname(folder)) {
      const project = await Project.open(sandbox, folder);
      if (await isOne(project)) return { project, candidates: [] };
    }
  }
  const top = await Project.open(sandbox, "");
  if (await isOne(top)) return { project: top, candidates: [] };
  const found: Project[] = [];
  for (const folder of first === undefined ? top.folders.slice(0, 20) : []) {
    const project = await Project.open(sandbox, folder);
    if (await isOne(project)) found.push(project);
  }
  return { project: found.length === 1 ? found[0]! : top, candidates: found.map(({ root }) => root) };
};
