import type { ScriptRun } from "../foreground.ts";
import type { TestReport } from "./framework.ts";

const MAX_FAILURES = 50;
const MAX_MESSAGE = 2_000;
const MAX_ID = 500;
const HEAD_SHARE = 0.4;

/** What run_tests answers of a report: counts, what failed, and what the runner said where that explains more. */
export const summarize = (
  { tests, errors, isComplete }: TestReport,
  { end, output }: Omit<ScriptRun, "stderr">,
  messageBytes: number,
): Record<string, unknown> => {
  const count = (status: string): number => tests.filter((test) => test.status === status).length;
  const failed = tests.filter((test) => test.status === "failed");
  const status = statusOf({ tests, errors, isComplete }, end);
  let left = messageBytes;
  const failures = [...errors, ...failed].slice(0, MAX_FAILURES).map(({ id, file, line, message = "" }) => {
    const shown = shorten(message.trim(), Math.max(0, Math.min(MAX_MESSAGE, left)));
    left -= shown.length;
    return { id: id.slice(0, MAX_ID), ...(file ? { file } : {}), ...(line ? { line } : {}), message: shown };
  });
  const explains = status !== "passed" && (failures.length === 0 || !isComplete);
  return {
    status,
    summary: {
      total: tests.length,
      passed: count("passed"),
      failed: failed.length,
      skipped: count("skipped"),
      errors: errors.length,
      duration_ms: end.durationMs,
    },
    failures,
    ...(failures.length < errors.length + failed.length || left <= 0 ? { truncated: true } : {}),
    ...(explains && output ? { output } : {}),
  };
};

const statusOf = ({ tests, errors, isComplete }: TestReport, end: ScriptRun["end"]): string => {
  if (end.status !== "exited") return end.status;
  if (errors.length > 0) return "collection_error";
  if (!isComplete) return "crashed";
  if (tests.length === 0) return "no_tests";
  return end.exitCode === 0 ? "passed" : "failed";
};

const shorten = (text: string, limit: number): string => {
  if (text.length <= limit) return text;
  if (limit === 0) return "";
  const head = Math.floor(limit * HEAD_SHARE);
  return `${text.slice(0, head)}\n[…]\n${text.slice(text.length - (limit - head))}`;
};
