import { CHECK_KINDS } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { processIdOf } from "../../shared/ids.ts";
import type { Executor } from "../session/owned-session.ts";
import type { Checker, Diagnostic } from "./checks/checker.ts";
import { type Choice, chooseCheckers } from "./checks/checkers.ts";
import { describe } from "./describe-process.ts";
import { runScript } from "./foreground.ts";
import { findProject, type Project, toWorkdirPath, withinProject } from "./project/project.ts";
import { ReportError, ReportFolder } from "./project/report-folder.ts";

const MAX_DIAGNOSTICS = 200;
const MAX_MESSAGE = 1_000;
const MAX_COMPLAINT = 2_000;
const NOT_INSTALLED = 127;
/** Of all of them together. */
const TIMEOUT_MS = 300_000;
const SEVERITIES = ["error", "warning", "info"];

interface CheckArguments {
  kinds?: (typeof CHECK_KINDS)[number][];
  paths?: string[];
}

/** What one checker said. */
interface Checked {
  name: string;
  status: "clean" | "found" | "not_installed" | "failed";
  message?: string;
  diagnostics: Diagnostic[];
}

/** Runs the linters and type checkers that a project has, one after the other. What they find is a normal result. */
export const runChecks: Executor = async (rawArgs, context) => {
  const { kinds = [...CHECK_KINDS], paths: rawPaths = [] } = rawArgs as unknown as CheckArguments;
  const sandbox = await context.workspace.sandbox();
  const paths = rawPaths.map((path) => toWorkdirPath(path, sandbox.workdir));
  const isOne = async (project: Project): Promise<boolean> => (await chooseCheckers(project, kinds)).length > 0;
  const { project } = await findProject(sandbox, paths, isOne);
  const choices = await chooseCheckers(project, kinds);
  if (choices.length === 0) {
    throw new ToolFailure("NOT_FOUND", `There is nothing here to check by ${kinds.join(" or ")}`, {
      hint: "Settings say what a project is checked with, such as eslint.config.js, tsconfig.json or pyproject.toml.",
    });
  }
  const folder = new ReportFolder(sandbox, context);
  const within = paths.map((path) => withinProject(path, project));
  const scripts = await Promise.all(choices.map((choice) => scriptOf(choice, project, within)));
  const command = `${folder.preparation}\n${scripts.join("\n")}`;
  const run = await runScript(context, {
    command,
    cwd: project.root,
    timeoutMs: TIMEOUT_MS,
    outputBytes: MAX_COMPLAINT,
  });
  const checked: Checked[] = [];
  for (const choice of choices) checked.push(await readChoice(choice, folder, run.end.status === "exited"));
  const all = checked.flatMap(({ diagnostics }) => diagnostics).map((found) => shown(found, project));
  const { notice } = describe(run.end);
  return {
    status: run.end.status === "exited" ? overall(checked) : run.end.status,
    checks: checked.map(({ diagnostics, ...check }) => ({ ...check, count: diagnostics.length })),
    diagnostics: all.sort(worstFirst).slice(0, MAX_DIAGNOSTICS),
    ...(all.length > MAX_DIAGNOSTICS ? { truncated: true } : {}),
    ...(notice ? { notice } : {}),
    process_id: processIdOf(context.callId),
  };
};

/** Each runs in a shell of its own; where the first of a choice is missing, the next is tried. */
const scriptOf = async (choice: Choice, project: Project, paths: readonly string[]): Promise<string> => {
  let script = "";
  for (const { name, command } of [...choice].reverse()) {
    const own = `(${await command(project, paths)}
) >"$REPORTS/${name}.out" 2>"$REPORTS/${name}.err"; code=$?; echo $code >"$REPORTS/${name}.code"`;
    script = script ? `${own}\nif [ $code = ${NOT_INSTALLED} ]; then\n${script}\nfi` : own;
    script = `echo ${name}\n${script}`;
  }
  return script;
};

const readChoice = async (choice: Choice, folder: ReportFolder, hasEnded: boolean): Promise<Checked> => {
  let last: Checked | undefined;
  for (const checker of choice) {
    last = await readCheck(checker, folder, hasEnded);
    if (last.status !== "not_installed") return last;
  }
  return last!;
};

const readCheck = async (checker: Checker, folder: ReportFolder, hasEnded: boolean): Promise<Checked> => {
  const { name, endCodes } = checker;
  const text = async (file: string): Promise<string> => String((await folder.whole(`${name}.${file}`)) ?? "");
  try {
    const code = await text("code");
    if (code === "")
      return { name, status: "failed", message: hasEnded ? "It did not run" : "Not done", diagnostics: [] };
    if (Number(code) === NOT_INSTALLED) return { name, status: "not_installed", diagnostics: [] };
    const report = await text("out");
    if (!endCodes.includes(Number(code))) {
      const complaint = `${await text("err")}\n${report}`.trim().slice(0, MAX_COMPLAINT);
      return { name, status: "failed", message: `It ended with code ${code.trim()}: ${complaint}`, diagnostics: [] };
    }
    const diagnostics = checker.parse(report);
    if (diagnostics.length > 0) return { name, status: "found", diagnostics };
    // It says that there is something, and not what.
    if (Number(code) !== 0)
      return {
        name,
        status: "failed",
        message: `${await text("err")}\n${report}`.trim().slice(0, MAX_COMPLAINT),
        diagnostics,
      };
    return { name, status: "clean", diagnostics };
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    const complaint = (await text("err").catch(() => "")).slice(0, MAX_COMPLAINT);
    return { name, status: "failed", message: `${error.message}. ${complaint}`.trim(), diagnostics: [] };
  }
};

const overall = (checked: readonly Checked[]): string =>
  ["failed", "not_installed", "found"].find((status) => checked.some((check) => check.status === status)) ?? "clean";

const shown = ({ file, message, ...rest }: Diagnostic, project: Project): Diagnostic => ({
  file: project.shown(file),
  ...rest,
  message: message.slice(0, MAX_MESSAGE),
});

const worstFirst = (a: Diagnostic, b: Diagnostic): number =>
  SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
  a.file.localeCompare(b.file) ||
  a.line - b.line ||
  (a.column ?? 0) - (b.column ?? 0);
