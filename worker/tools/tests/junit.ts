import { ToolFailure } from "../../../shared/failure.ts";
import type { Project } from "../project/project.ts";
import { ReportError, type ReportFolder } from "../project/report-folder.ts";
import { shellQuote } from "../project/shell-quote.ts";
import type { Framework, TestReport } from "./framework.ts";
import { parseJunitXml } from "./junit-xml.ts";

const LIST = "reports.txt";
const MAX_REPORTS = 200;
const NAMES = [
  "TEST-*.xml",
  "*junit*.xml",
  "*test-results/*.xml",
  "*-reports/*.xml",
  "*test-report*.xml",
  "*results.xml",
];

/** What a build tool's tests are started with; both leave JUnit XML where `NAMES` finds it. */
const buildCommand = (project: Project): string | undefined => {
  if (project.has("gradlew")) return "sh ./gradlew test";
  if (project.has("build.gradle", "build.gradle.kts")) return "gradle test";
  if (project.has("mvnw")) return "sh ./mvnw -B test";
  return project.has("pom.xml") ? "mvn -B test" : undefined;
};

/** Any command that leaves JUnit XML in the project. Only what it wrote itself counts, not what lay there before. */
export const junit: Framework = {
  name: "junit",

  async isConfigured(project) {
    return buildCommand(project) !== undefined;
  },

  command(project, { paths, filter, failed, command = buildCommand(project) }) {
    if (command === undefined) {
      throw new ToolFailure("INVALID_ARGUMENT", "junit needs a command that leaves JUnit XML reports in the project", {
        hint: 'For example command: "make test" with paths: ["reports"].',
      });
    }
    if (filter !== undefined || failed) {
      throw new ToolFailure(
        "INVALID_ARGUMENT",
        "junit takes neither filter nor only_failed: its command says what runs",
      );
    }
    const places = paths.length > 0 ? paths.map(shellQuote).join(" ") : ".";
    const names = paths.length > 0 ? "-name '*.xml'" : NAMES.map((name) => `-path '*/${name}'`).join(" -o ");
    return `touch "$REPORTS/begun"
(${command}
)
code=$?
find ${places} -name node_modules -prune -o -type f \\( ${names} \\) -newer "$REPORTS/begun" -print 2>/dev/null |
  head -n ${MAX_REPORTS + 1} >"$REPORTS/${LIST}"
n=0; while IFS= read -r file; do n=$((n + 1)); cp -- "$file" "$REPORTS/$n.xml"; done <"$REPORTS/${LIST}"
exit $code`;
  },

  async report(folder) {
    const files = ((await folder.lines(LIST))?.lines ?? []).filter(Boolean);
    if (files.length > MAX_REPORTS) throw new ReportError(`there are more than ${MAX_REPORTS} reports`);
    const report: TestReport = { tests: [], errors: [], isComplete: files.length > 0 };
    for (const [index, file] of files.entries()) await addReport(report, folder, index, file);
    return report;
  },
};

const addReport = async (report: TestReport, folder: ReportFolder, index: number, file: string): Promise<void> => {
  try {
    const xml = await folder.whole(`${index + 1}.xml`);
    report.tests.push(...(await parseJunitXml(String(xml ?? ""))));
  } catch (error) {
    if (!(error instanceof ReportError)) throw error;
    report.errors.push({ id: file, file, message: error.message });
  }
};
