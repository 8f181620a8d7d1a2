import { OUTPUT_BYTES, type TEST_FRAMEWORKS } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { processIdOf } from "../../shared/ids.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Executor } from "../session/owned-session.ts";
import { describe } from "./describe-process.ts";
import { runScript, type ScriptRun } from "./foreground.ts";
import { findProject, Project, toWorkdirPath, withinProject } from "./project/project.ts";
import { ReportError, ReportFolder } from "./project/report-folder.ts";
import type { Framework, Selection, TestReport } from "./tests/framework.ts";
import { frameworks } from "./tests/frameworks.ts";
import { LastRun } from "./tests/last-run.ts";
import { readReporter } from "./tests/reporters.ts";
import { summarize } from "./tests/summarize.ts";

/** Of each stream, for those who read what a runner that broke off had said. */
const OUTPUT_LIMIT = 4_000;
const NOT_INSTALLED = 127;
/** The kernel refuses a command of 128 KiB; what a framework adds of its own is small. */
const MAX_COMMAND_BYTES = 120 * 1024;

interface TestArguments {
  framework?: (typeof TEST_FRAMEWORKS)[number];
  paths?: string[];
  filter?: string;
  only_failed: boolean;
  command?: string;
  timeout_ms: number;
}

/** Runs a project's tests through its runner's own reporter. A test that fails is a normal result. */
export const runTests: Executor = async (rawArgs, context) => {
  const args = rawArgs as unknown as TestArguments;
  const sandbox = await context.workspace.sandbox();
  const paths = (args.paths ?? []).map((path) => toWorkdirPath(path, sandbox.workdir));
  if (args.only_failed && (paths.length > 0 || args.filter !== undefined))
    throw new ToolFailure("INVALID_ARGUMENT", "only_failed goes with neither paths nor filter");
  const { framework, project } = await choose(sandbox, args.framework, paths, args.command);
  const lastRun = await LastRun.load(sandbox, framework.name, project.root);
  const failed = args.only_failed ? failedBefore(lastRun, framework) : undefined;
  if (failed?.length === 0)
    return {
      framework: framework.name,
      status: "no_tests",
      notice: "Nothing failed in the last run: nothing was run.",
    };

  const folder = new ReportFolder(sandbox, context);
  const { filter, command } = args;
  const selection: Selection = {
    paths: paths.map((path) => withinProject(path, project)),
    filter,
    failed: failed?.map(({ id, file }) => ({ id, ...(file ? { file: withinProject(file, project) } : {}) })),
    command,
  };
  const script = `${folder.preparation}\n${await framework.command(project, selection)}`;
  if (Buffer.byteLength(script) > MAX_COMMAND_BYTES) {
    throw new ToolFailure("INVALID_ARGUMENT", "The command that chooses these tests would be too long", {
      hint: "Choose them by fewer paths, or run all.",
    });
  }
  if (framework.reporter) await folder.put(framework.reporter, await readReporter(framework.reporter));
  const run = await runScript(context, {
    command: script,
    cwd: project.root,
    timeoutMs: args.timeout_ms,
    outputBytes: OUTPUT_LIMIT,
  });
  if (run.end.exitCode === NOT_INSTALLED) throw notInstalled(framework, run);
  const { report, problem } = await readReport(framework, folder, run, project);
  const delta = lastRun.delta(report);
  const isWhole = paths.length === 0 && filter === undefined && !failed && report.isComplete;
  await lastRun.save(report, isWhole);
  const { notice = problem, exit_code } = describe(run.end);
  return {
    framework: framework.name,
    ...summarize(report, run, OUTPUT_BYTES.default),
    ...(delta ? { delta } : {}),
    ...(notice ? { notice } : {}),
    exit_code,
    process_id: processIdOf(context.callId),
  };
};

const choose = async (
  sandbox: Sandbox,
  named: TestArguments["framework"],
  paths: readonly string[],
  command: string | undefined,
): Promise<{ framework: Framework; project: Project }> => {
  const asked = named ? [frameworks[named]] : command === undefined ? Object.values(frameworks) : [frameworks.junit];
  if (command !== undefined && asked[0] !== frameworks.junit)
    throw new ToolFailure("INVALID_ARGUMENT", "Only junit takes a command", {
      hint: 'Leave framework out, or say "junit".',
    });
  // A command says itself what to run, and where.
  if (command !== undefined) return { framework: frameworks.junit, project: await Project.open(sandbox, "") };
  const detectBy = (isOf: (framework: Framework, project: Project) => Promise<boolean>) => async (project: Project) => {
    for (const framework of asked) if (await isOf(framework, project)) return framework;
    return undefined;
  };
  // What says what it is goes before what only looks like it: tests lie deep in folders that are projects themselves.
  const isConfigured = detectBy((framework, project) => framework.isConfigured(project));
  const hasTests = detectBy(async (framework, project) => (await framework.hasTests?.(project)) ?? false);
  for (const [detect, near] of [[isConfigured, paths] as const, [hasTests, []] as const]) {
    const isOne = async (project: Project): Promise<boolean> => (await detect(project)) !== undefined;
    const { project, candidates } = await findProject(sandbox, near, isOne);
    const framework = await detect(project);
    if (framework) return { framework, project };
    if (candidates.length > 1) {
      throw new ToolFailure("INVALID_ARGUMENT", `There are several projects: ${candidates.join(", ")}`, {
        hint: "Say by paths which one's tests to run.",
      });
    }
  }
  if (named) return { framework: frameworks[named], project: await Project.open(sandbox, "") };
  throw new ToolFailure("NOT_FOUND", "There is no project here whose tests could be run", {
    hint: `Name the framework (${Object.keys(frameworks).join(", ")}), or the tests by paths.`,
  });
};

/** @throws {ToolFailure} INVALID_ARGUMENT where nothing is known of a last run */
const failedBefore = (lastRun: LastRun, framework: Framework): NonNullable<LastRun["failed"]> => {
  if (lastRun.failed) return lastRun.failed;
  throw new ToolFailure("INVALID_ARGUMENT", `These ${framework.name} tests did not run in this session yet`, {
    hint: "Run them once without only_failed.",
  });
};

const notInstalled = ({ name }: Framework, { output }: ScriptRun): ToolFailure =>
  new ToolFailure("NOT_FOUND", `Cannot run ${name}: ${output.split("\n").at(-1) || "a command was not found"}`, {
    hint: "Install it in the session, or make a session of an image that has it (create_session).",
  });

/** A report that cannot be read is one that was never finished, and why is said. */
const readReport = async (
  framework: Framework,
  folder: ReportFolder,
  run: ScriptRun,
  project: Project,
): Promise<{ report: TestReport; problem?: string }> => {
  try {
    const report = await framework.report(folder, run, project);
    const shown = <T extends { file?: string | undefined }>(one: T): T =>
      one.file ? { ...one, file: project.shown(one.file) } : one;
    return { report: { ...report, tests: report.tests.map(shown), errors: report.errors.map(shown) } };
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    const problem = `The results of ${framework.name} could not be read: ${error.message}.`;
    return { report: { tests: [], errors: [], isComplete: false }, problem };
  }
};
