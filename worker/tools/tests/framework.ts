import type { Project } from "../project/project.ts";
import type { ReportFolder } from "../project/report-folder.ts";

export type TestStatus = "passed" | "failed" | "skipped";

export interface TestResult {
  /** Stable from run to run. */
  id: string;
  status: TestStatus;
  /** As the runner gave it: absolute, or relative to the project. */
  file?: string | undefined;
  line?: number | undefined;
  message?: string | undefined;
}

/** Something that kept tests from running: a file that cannot be loaded, a build that failed. */
export type TestError = Omit<TestResult, "status">;

export interface TestReport {
  tests: TestResult[];
  errors: TestError[];
  /** The runner came to its end. */
  isComplete: boolean;
}

/** What to run; paths are relative to the project's root. */
export interface Selection {
  paths: readonly string[];
  filter: string | undefined;
  /** Only these, which failed in the last run. */
  failed: readonly FailedTest[] | undefined;
  /** The command of the framework that has none of its own. */
  command: string | undefined;
}

export interface FailedTest {
  id: string;
  file?: string | undefined;
}

export interface Framework {
  readonly name: string;
  /** A file of reporters/ that the command finds in `$REPORTS`. */
  readonly reporter?: string;
  /** Whether the project's own settings say that its tests are of this kind. */
  isConfigured(project: Project): Promise<boolean>;
  /** Whether tests of this kind lie somewhere in it. */
  hasTests?(project: Project): Promise<boolean>;
  /**
   * The bash script that runs the tests in the project's root and leaves reports in the folder `$REPORTS`.
   * @throws {ToolFailure} INVALID_ARGUMENT for a selection that this runner cannot make
   */
  command(project: Project, selection: Selection): Promise<string> | string;
  /** @param printed by the run, for runners that say some things nowhere else */
  report(folder: ReportFolder, printed: { output: string; stderr: string }, project: Project): Promise<TestReport>;
}

/** A regular expression that matches exactly one of these texts. */
export const anyOf = (texts: readonly string[]): string =>
  `^(${texts.map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|")})$`;

export const filesOf = (failed: readonly FailedTest[]): string[] => [
  ...new Set(failed.flatMap(({ file }) => (file ? [file] : []))),
];
