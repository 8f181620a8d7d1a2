import type { CHECK_KINDS } from "../../../shared/catalog/index.ts";
import type { Project } from "../project/project.ts";

export interface Diagnostic {
  file: string;
  line: number;
  column?: number | undefined;
  severity: "error" | "warning" | "info";
  rule?: string | undefined;
  message: string;
}

/** A linter or type checker. */
export interface Checker {
  readonly name: string;
  readonly kind: (typeof CHECK_KINDS)[number];
  /** Exit codes of a run that came to its end, with or without something to say. */
  readonly endCodes: readonly number[];
  /** Whether the project's own settings name it. */
  isConfigured(project: Project): Promise<boolean>;
  /**
   * A bash script that writes the report to stdout and ends with 127 where the tool is missing.
   * @param paths relative to the project's root; empty for all of it
   */
  command(project: Project, paths: readonly string[]): Promise<string> | string;
  /** @throws {ReportError} for what the tool does not write */
  parse(report: string): Diagnostic[];
}
