import { setImmediate as breathe } from "node:timers/promises";
import sax from "sax";
import { ReportError } from "../project/report-folder.ts";
import type { TestResult } from "./framework.ts";

const MAX_DEPTH = 64;
const MAX_MESSAGE = 8_000;
/** Parsed without a pause: the worker serves other sessions meanwhile. */
const SLICE = 256 * 1024;
const OUTCOMES: Record<string, TestResult["status"]> = { failure: "failed", error: "failed", skipped: "skipped" };

/**
 * The test cases of one JUnit XML report. Entities that a document defines itself are not expanded but refused.
 * @throws {ReportError} when it is no XML
 */
export const parseJunitXml = async (xml: string): Promise<TestResult[]> => {
  const tests: TestResult[] = [];
  const parser = sax.parser(true, { position: true });
  let depth = 0;
  let test: TestResult | undefined;
  let isInOutcome = false;
  parser.onerror = (error) => {
    throw new ReportError(`the report is no XML: ${error.message.split("\n")[0]}`);
  };
  parser.onopentag = ({ name, attributes }) => {
    if (++depth > MAX_DEPTH) throw new ReportError("the report is nested too deeply");
    const given = attributes as Record<string, string>;
    const status = OUTCOMES[name];
    if (name === "testcase") {
      test = toTest(given);
    } else if (test && status) {
      test.status = status;
      test.message = given.message ?? "";
      isInOutcome = true;
    }
  };
  const onText = (text: string): void => {
    if (!test || !isInOutcome || test.message === undefined) return;
    if (test.message.length < MAX_MESSAGE && text.trim())
      test.message = `${test.message}\n${text}`.slice(0, MAX_MESSAGE);
  };
  parser.ontext = onText;
  parser.oncdata = onText;
  parser.onclosetag = (name) => {
    depth--;
    if (OUTCOMES[name]) isInOutcome = false;
    if (name !== "testcase" || !test) return;
    if (test.message !== undefined) test.message = test.message.trim();
    tests.push(test);
    test = undefined;
  };
  for (let at = 0; at < xml.length; at += SLICE) {
    parser.write(xml.slice(at, at + SLICE));
    await breathe();
  }
  parser.close();
  return tests;
};

const toTest = ({ classname, name = "", file, line }: Record<string, string>): TestResult => ({
  id: classname ? `${classname}.${name}` : name,
  status: "passed",
  ...(file ? { file } : {}),
  ...(line && /^\d+$/.test(line) ? { line: Number(line) } : {}),
});
