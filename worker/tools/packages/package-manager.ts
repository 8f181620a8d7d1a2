import { ToolFailure } from "../../../shared/failure.ts";
import type { Project } from "../project/project.ts";
import type { ReportFolder } from "../project/report-folder.ts";

export interface PackageManager {
  name: "pip" | "npm";
  /** The package's name as `versions` gives it; undefined for what is no name with a version. */
  nameOf(spec: string): string | undefined;
  /** Whether a project's files speak of it. */
  isUsedBy(project: Project): boolean;
  /**
   * Bash that goes before the packages: ends with 127 where there is no such manager; defines `install KEY SPEC…`, which
   * leaves what `reason` reads under KEY, and `list`, which leaves what `versions` reads.
   */
  preparation: string;
  /** Versions of all that is installed, by name. */
  versions(folder: ReportFolder): Promise<Map<string, string>>;
  /** Why what was installed under this key was not. */
  reason(folder: ReportFolder, key: string): Promise<string>;
}

const MAX_REASON = 600;

/** The end of what a manager says, where it says most. */
export const shortened = (text: string): string => {
  const trimmed = text.trim();
  return trimmed.length > MAX_REASON ? `…${trimmed.slice(-MAX_REASON)}` : trimmed;
};

/** @throws {ToolFailure} INVALID_ARGUMENT for an option, a path or a URL */
export const checkedNames = (manager: PackageManager, specs: readonly string[]): Map<string, string> =>
  new Map(
    specs.map((spec) => {
      const name = manager.nameOf(spec);
      if (name !== undefined) return [spec, name];
      throw new ToolFailure("INVALID_ARGUMENT", `"${spec}" is not the name of a package for ${manager.name}`, {
        hint: `Name packages as ${manager.name === "pip" ? "six, six==1.16.0 or six>=1,<2" : "left-pad, left-pad@1.3.0 or @scope/name@^2"}; options, paths and URLs are refused.`,
      });
    }),
  );
