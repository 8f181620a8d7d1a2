import { z } from "zod";
import { ToolFailure } from "../../../shared/failure.ts";
import { parseJson } from "../project/parse-json.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import type { Framework, TestError, TestReport, TestResult } from "./framework.ts";

const BUILD = "build.jsonl";
const OUTPUT = "output.txt";
const MAX_MESSAGE = 8_000;

/** "panicked at src/lib.rs:3:5:" since 1.73, before it "panicked at 'why, on some lines', src/lib.rs:3:5" */
const PANIC = /panicked at (?:'[\s\S]*?', )?(\S+\.rs):(\d+):\d+/;

const BuildLine = z.union([
  z.object({ reason: z.literal("build-finished"), success: z.boolean() }),
  z.object({
    reason: z.literal("compiler-message"),
    message: z.object({
      level: z.string(),
      message: z.string(),
      rendered: z.string().nullish(),
      spans: z.array(z.object({ file_name: z.string(), line_start: z.number(), is_primary: z.boolean() })),
    }),
  }),
]);

/**
 * The build tells of itself as JSON. The tests do not: on a stable toolchain libtest has no reporter for machines, so
 * their lines are read (`test NAME ... ok`), whose form libtest keeps for those who do.
 */
export const cargoTest: Framework = {
  name: "cargo test",

  async isConfigured(project) {
    return project.has("Cargo.toml");
  },

  command(_project, { paths, filter, failed }) {
    const targets = paths.map((path) => {
      const name = /^tests\/([\w-]+)(\.rs|\/main\.rs)$/.exec(path)?.[1];
      if (name) return `--test ${shellQuote(name)}`;
      if (/^src(\/|$)/.test(path)) return "--lib --bins";
      throw new ToolFailure("INVALID_ARGUMENT", `cargo test cannot run "${path}" alone`, {
        hint: "paths may name src, or files like tests/NAME.rs; choose tests by name with filter.",
      });
    });
    const choice = [...new Set(targets)].join(" ");
    const names = failed?.map(({ id }) => id.slice(id.indexOf("::") + 2)) ?? (filter === undefined ? [] : [filter]);
    const exact = failed ? "--exact " : "";
    return `command -v cargo >/dev/null || { echo "cargo is not in this image" >&2; exit 127; }
cargo test --no-run --message-format json ${choice} >"$REPORTS/${BUILD}" || exit
cargo test --no-fail-fast ${choice} -- --color never ${exact}${shellQuoteAll(names)} 2>&1 | tee "$REPORTS/${OUTPUT}"
exit "\${PIPESTATUS[0]}"`;
  },

  async report(folder) {
    const build = await folder.lines(BUILD);
    const output = await folder.lines(OUTPUT);
    const errors = parseBuild(build?.lines ?? []);
    if (!output) return { tests: [], errors, isComplete: errors.length > 0 };
    const report = parseCargoOutput(output.lines);
    return { ...report, isComplete: report.isComplete && !output.isCut };
  },
};

/** The errors of the compiler. */
export const parseBuild = (lines: readonly string[]): TestError[] =>
  lines.flatMap((text) => {
    const line = BuildLine.safeParse(parseJson(text)).data;
    if (line?.reason !== "compiler-message" || line.message.level !== "error") return [];
    const { message, rendered, spans } = line.message;
    const at = spans.find((span) => span.is_primary) ?? spans[0];
    if (!at) return []; // "aborting due to previous error"
    return [{ id: at.file_name, file: at.file_name, line: at.line_start, message: rendered ?? message }];
  });

/** What libtest prints, target by target. */
export const parseCargoOutput = (lines: readonly string[]): TestReport => {
  const tests = new Map<string, TestResult>();
  let target = "";
  let begun = 0;
  let ended = 0;
  let failed: TestResult | undefined; // whose captured output is being read
  for (const line of lines) {
    const header = /^\s+(?:Running (?:unittests )?(\S+)|Doc-tests (\S+))/.exec(line);
    const result = /^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)/.exec(line);
    const section = /^---- (.+) stdout ----$/.exec(line);
    if (header) target = header[1] ?? `doc ${header[2]}`;
    if (/^running \d+ tests?$/.test(line)) begun++;
    if (/^test result: /.test(line)) ended++;
    if (header || /^(failures:|test result: .*)$/.test(line)) failed = undefined;
    if (result && !failed) {
      const [, name = "", word = ""] = result;
      const status = word === "ok" ? "passed" : word === "ignored" ? "skipped" : "failed";
      const file = target.startsWith("doc ") ? {} : { file: target };
      tests.set(`${target}::${name}`, { id: `${target}::${name}`, status, ...file });
    } else if (section) {
      failed = tests.get(`${target}::${section[1]}`);
    } else if (failed) {
      failed.message = `${failed.message ?? ""}${line}\n`.slice(0, MAX_MESSAGE);
    }
  }
  for (const test of tests.values()) {
    const at = PANIC.exec(test.message ?? "");
    if (at) Object.assign(test, { file: at[1], line: Number(at[2]) });
  }
  return { tests: [...tests.values()], errors: [], isComplete: begun > 0 && begun === ended };
};
