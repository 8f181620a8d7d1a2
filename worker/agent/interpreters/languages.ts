import { existsSync } from "node:fs";
import { join } from "node:path";
import { AgentFailure } from "../failure.ts";

/** Where the interpreters' own programs stand: beside the agent, in the volume that no sandbox can write to. */
const FOLDER = "/opt/codegen";

interface Language {
  program: string;
  args: string[];
  extension: string;
  /** Takes the path of a file instead of the code itself. */
  readsFile?: boolean;
  /** Hears of an interrupt through the channel too. */
  hearsInterrupt?: boolean;
}

export const LANGUAGES: Readonly<Record<string, Language>> = {
  python: { program: "python3", args: [`${FOLDER}/interpreter.py`], extension: "py" },
  javascript: {
    program: "node",
    args: [`${FOLDER}/interpreter.cjs`, "javascript"],
    extension: "js",
    hearsInterrupt: true,
  },
  typescript: {
    program: "node",
    args: [`${FOLDER}/interpreter.cjs`, "typescript"],
    extension: "ts",
    hearsInterrupt: true,
  },
  bash: {
    program: "bash",
    args: ["--norc", "--noprofile", `${FOLDER}/interpreter.sh`],
    extension: "sh",
    readsFile: true,
  },
};

/** @throws {AgentFailure} INVALID_ARGUMENT */
export const findLanguage = (name: string): Language => {
  const language = Object.hasOwn(LANGUAGES, name) ? LANGUAGES[name] : undefined;
  if (!language) throw new AgentFailure("INVALID_ARGUMENT", `There is no interpreter for "${name}"`);
  return language;
};

/** The program and its arguments, as the session's own PATH finds them. @throws {AgentFailure} UNSUPPORTED */
export const commandOf = ({ program, args }: Language, path = "/usr/local/bin:/usr/bin:/bin"): string[] => {
  const found = path
    .split(":")
    .map((folder) => join(folder, program))
    .find((file) => file.startsWith("/") && existsSync(file));
  if (!found) throw new AgentFailure("UNSUPPORTED", `This session's image has no ${program}`);
  return [found, ...args];
};
