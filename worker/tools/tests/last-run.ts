import { z } from "zod";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { readKept, writeKept } from "../project/kept-files.ts";
import { parseJson } from "../project/parse-json.ts";
import type { FailedTest, TestReport } from "./framework.ts";

/** Kept in the session, beside its files: whoever loses these loses it as well. */
const NAME = "last-test-runs.json";
const MAX_BYTES = 1024 * 1024;
const MAX_PROJECTS = 20;
const MAX_FAILED = 1_000;
const MAX_ID = 1_000;
/** Of each list that an answer shows. */
const MAX_SHOWN = 100;

const Kept = z.record(z.string(), z.array(z.object({ id: z.string().max(MAX_ID), file: z.string().optional() })));

export interface Delta {
  newly_failing: string[];
  fixed: string[];
}

/** What failed in the last run of one project's tests; undefined before the first run. */
export class LastRun {
  private constructor(
    private readonly sandbox: Sandbox,
    private readonly key: string,
    private readonly all: z.infer<typeof Kept>,
  ) {}

  static async load(sandbox: Sandbox, framework: string, root: string): Promise<LastRun> {
    const kept = await readKept(sandbox, NAME, MAX_BYTES);
    const all = Kept.safeParse(parseJson(kept?.content.toString() ?? "")).data ?? {};
    return new LastRun(sandbox, `${framework} ${root}`, all);
  }

  get failed(): readonly FailedTest[] | undefined {
    return Object.hasOwn(this.all, this.key) ? this.all[this.key] : undefined;
  }

  /** Undefined where there is no earlier run to compare with. */
  delta({ tests }: TestReport): Delta | undefined {
    if (!this.failed) return undefined;
    const before = new Set(this.failed.map(({ id }) => id));
    const ids = (status: string, wasFailing: boolean): string[] =>
      tests
        .filter((test) => test.status === status && before.has(test.id) === wasFailing)
        .slice(0, MAX_SHOWN)
        .map(({ id }) => id.slice(0, MAX_ID));
    return { newly_failing: ids("failed", false), fixed: ids("passed", true) };
  }

  /** @param isWhole every test was to run: a test that was not seen is no more */
  async save({ tests }: TestReport, isWhole: boolean): Promise<void> {
    const seen = new Set(tests.map(({ id }) => id));
    const stillFailing = isWhole ? [] : (this.failed ?? []).filter(({ id }) => !seen.has(id));
    const failed = tests.filter(({ status, id }) => status === "failed" && id.length <= MAX_ID);
    const kept = [...failed.map(({ id, file }) => ({ id, ...(file ? { file } : {}) })), ...stillFailing];
    const others = Object.entries(this.all).filter(([key]) => key !== this.key);
    const all = Object.fromEntries([...others.slice(1 - MAX_PROJECTS), [this.key, kept.slice(0, MAX_FAILED)]]);
    await writeKept(this.sandbox, NAME, JSON.stringify(all));
  }
}
