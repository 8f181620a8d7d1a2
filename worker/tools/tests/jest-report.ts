import { z } from "zod";
import { parseJson } from "../project/parse-json.ts";
import { ReportError, type ReportFolder } from "../project/report-folder.ts";
import type { TestError, TestReport, TestResult } from "./framework.ts";

/** What `jest --json` writes, and vitest's json reporter after it. */
const Report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().nullish(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
          location: z.object({ line: z.number() }).nullish(),
        }),
      ),
    }),
  ),
});
type Suite = z.infer<typeof Report>["testResults"][number];

export const JEST_REPORT = "jest.json";

/** @param shown how the workspace names a file. Ids are a file's path and a test's full name. */
export const readJestReport = async (folder: ReportFolder, shown: (path: string) => string): Promise<TestReport> => {
  const json = await folder.whole(JEST_REPORT);
  return json ? parseJestReport(json.toString(), shown) : { tests: [], errors: [], isComplete: false };
};

export const parseJestReport = (json: string, shown: (path: string) => string): TestReport => {
  const parsed = Report.safeParse(parseJson(json));
  if (!parsed.success) throw new ReportError("the report is not what jest or vitest write");
  const suites = parsed.data.testResults;
  return {
    tests: suites.flatMap((suite) => suite.assertionResults.map((test) => toResult(suite, test, shown))),
    errors: suites.filter(isBroken).map((suite): TestError => {
      const file = shown(suite.name);
      return { id: file, file, message: suite.message ?? "" };
    }),
    isComplete: true,
  };
};

const toResult = (
  { name }: Suite,
  { fullName, status, failureMessages, location }: Suite["assertionResults"][number],
  shown: (path: string) => string,
): TestResult => {
  const file = shown(name);
  const id = `${file}::${fullName.trim()}`;
  if (status !== "failed") return { id, status: status === "passed" ? "passed" : "skipped", file };
  const message = (failureMessages ?? []).join("\n");
  return { id, status, file, line: lineIn(message, name) ?? location?.line, message };
};

/** Its file could not be loaded: no test of it failed, and yet it did. */
const isBroken = ({ status, assertionResults }: Suite): boolean =>
  status === "failed" && !assertionResults.some((test) => test.status === "failed");

/** The line of the test's own file that a stack trace names first. */
export const lineIn = (stack: string, file: string): number | undefined => {
  const at = stack.indexOf(`${file}:`);
  const line = at < 0 ? undefined : /^\d+/.exec(stack.slice(at + file.length + 1))?.[0];
  return line === undefined ? undefined : Number(line);
};
