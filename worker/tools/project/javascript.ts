import type { Project } from "./project.ts";

/** Ends as bash does for a missing command, unless `tool` is the project's own, or on the PATH. */
export const localTool = (project: Project, tool: string): string => {
  const depth = project.root === "" ? 0 : project.root.split("/").length;
  const folders = Array.from({ length: depth + 1 }, (_, up) => `$PWD/${"../".repeat(up)}node_modules/.bin`);
  return `export PATH="${folders.join(":")}:$PATH"
command -v ${tool} >/dev/null || { echo "${tool} is neither in node_modules nor on the PATH" >&2; exit 127; }`;
};

/** Whether package.json's test script, dependencies or keys speak of a runner, or a file is there that configures it. */
export const speaksOf = async (project: Project, runner: string, configs: string[]): Promise<boolean> => {
  const { scripts, dependencies, keys } = await project.packageJson();
  if (new RegExp(`(^|[\\s/=&;])${runner}\\b`).test(scripts.test ?? "")) return true;
  return project.has(...configs) || keys.has(runner) || (!scripts.test && dependencies.has(runner));
};

export const configNames = (stem: string, ...extensions: string[]): string[] =>
  extensions.map((extension) => `${stem}.${extension}`);
