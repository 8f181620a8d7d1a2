import type { Project } from "../project/project.ts";
import { findPythonSources } from "../project/python.ts";
import { biome } from "./biome.ts";
import type { Checker } from "./checker.ts";
import { eslint } from "./eslint.ts";
import { flake8 } from "./flake8.ts";
import { mypy } from "./mypy.ts";
import { ruff } from "./ruff.ts";
import { tsc } from "./tsc.ts";

export const checkers: readonly Checker[] = [ruff, flake8, eslint, biome, mypy, tsc];

/** One of these is to run: the first that is installed. */
export type Choice = readonly Checker[];

/**
 * What a project is checked with: what its settings name. Python needs no settings to be linted; its types are checked
 * without any only for those who ask for nothing else.
 */
export const chooseCheckers = async (project: Project, kinds: readonly string[]): Promise<Choice[]> => {
  const asked = checkers.filter(({ kind }) => kinds.includes(kind));
  const configured: Choice[] = [];
  for (const checker of asked) if (await checker.isConfigured(project)) configured.push([checker]);
  const has = (...some: Checker[]): boolean => configured.some(([one]) => one !== undefined && some.includes(one));
  const lintsPython = kinds.includes("lint") && !has(ruff, flake8);
  const checksTypes = !kinds.includes("lint") && !has(mypy);
  if ((lintsPython || checksTypes) && (await findPythonSources(project)).length > 0)
    configured.push(lintsPython ? [ruff, flake8] : [mypy]);
  return configured;
};
