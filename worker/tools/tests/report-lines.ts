import { z } from "zod";
import { parseJson } from "../project/parse-json.ts";
import type { ReportFolder } from "../project/report-folder.ts";
import type { TestReport } from "./framework.ts";

/**
 * What our own reporters (reporters/) write, one JSON object a line: a test's result, something that kept tests from
 * running, and last that the run came to its end. Lines are written as things happen, so a run that is killed has told
 * what it knew.
 */
const place = {
  file: z.string().nullish(),
  line: z.number().nullish(),
  message: z.string().nullish(),
};
const Line = z.union([
  z.object({ test: z.string(), status: z.enum(["passed", "failed", "skipped"]), ...place }),
  z.object({ error: z.string(), ...place }),
  z.object({ end: z.literal(true) }),
]);

export const LINES = "lines";

/** @returns undefined where the reporter never began */
export const readReportLines = async (folder: ReportFolder): Promise<TestReport | undefined> => {
  const report = await folder.lines(LINES);
  return report && parseReportLines(report.lines, report.isCut);
};

/** A test that was told twice (its teardown failed as well) has its last result. */
export const parseReportLines = (lines: readonly string[], isCut = false): TestReport => {
  const tests = new Map<string, TestReport["tests"][number]>();
  const errors: TestReport["errors"] = [];
  let isComplete = false;
  for (const text of lines) {
    const line = Line.safeParse(parseJson(text)).data;
    if (!line) continue; // the last one of a run that was killed
    if ("end" in line) {
      isComplete = !isCut;
      continue;
    }
    const where = { file: line.file ?? undefined, line: line.line ?? undefined, message: line.message ?? undefined };
    if ("error" in line) errors.push({ id: line.error, ...where });
    else tests.set(line.test, { id: line.test, status: line.status, ...where });
  }
  return { tests: [...tests.values()], errors, isComplete };
};
