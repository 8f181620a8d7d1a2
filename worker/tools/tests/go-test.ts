import { z } from "zod";
import { parseJson } from "../project/parse-json.ts";
import { shellQuote, shellQuoteAll } from "../project/shell-quote.ts";
import { anyOf, type Framework, type TestError, type TestReport, type TestResult } from "./framework.ts";

const REPORT = "go.jsonl";
const MAX_OUTPUT = 8_000;
/** One line of `go test -json`; newer releases put a build's output in lines of their own. */
const Event = z.object({
  Action: z.string(),
  Package: z.string().optional(),
  ImportPath: z.string().optional(),
  Test: z.string().optional(),
  Output: z.string().optional(),
});

/** Shows people what the JSON holds for them. */
const PRINT = `require("readline").createInterface({input:process.stdin}).on("line",l=>{let o=l+"\\n";try{o=JSON.parse(l).Output||""}catch{}process.stdout.write(o)})`;

export const goTest: Framework = {
  name: "go test",

  async isConfigured(project) {
    return project.has("go.mod", "go.work");
  },

  command(_project, { paths, filter, failed }) {
    const tests = failed?.map(({ id }) => id.split("::")) ?? [];
    const packages = failed
      ? [...new Set(tests.map(([name = ""]) => name))]
      : paths.map((path) => `./${path.endsWith(".go") ? path.slice(0, path.lastIndexOf("/") + 1) : path}`);
    const match = failed ? anyOf([...new Set(tests.map(([, test = ""]) => test.split("/")[0]!))]) : filter;
    const run = match === undefined ? "" : ` -run ${shellQuote(match)}`;
    return `command -v go >/dev/null || { echo "go is not in this image" >&2; exit 127; }
go test -json${run} ${shellQuoteAll(packages.length > 0 ? packages : ["./..."])} |
  tee "$REPORTS/${REPORT}" | /opt/codegen/node -e ${shellQuote(PRINT)}
exit "\${PIPESTATUS[0]}"`;
  },

  async report(folder, { stderr }, project) {
    const report = await folder.lines(REPORT);
    if (!report) return { tests: [], errors: [], isComplete: false };
    const module = /^module\s+(\S+)/m.exec((await project.read("go.mod")) ?? "")?.[1] ?? "";
    return parseGoReport(report.lines, { isCut: report.isCut, stderr, module });
  },
};

interface Seen {
  pkg: string;
  name: string;
  status: TestResult["status"] | undefined;
  output: string;
}

/** @param run `stderr` is where releases before 1.24 tell why a package was not built, under a line with its name */
export const parseGoReport = (
  lines: readonly string[],
  { isCut, stderr, module }: { isCut: boolean; stderr: string; module: string },
): TestReport => {
  const tests = new Map<string, Seen>();
  const packages = new Map<string, Seen>();
  let build = "";
  for (const text of lines) {
    const event = Event.safeParse(parseJson(text)).data ?? buildFailure(text);
    if (!event) continue;
    const { Action: action, Package: pkg = "", Test: name = "", Output: said = "" } = event;
    if (action === "build-output") build = (build + said).slice(0, MAX_OUTPUT);
    if (!pkg) continue;
    const seen = name ? tests : packages;
    const key = `${pkg}::${name}`;
    const entry = seen.get(key) ?? { pkg, name, status: undefined, output: "" };
    seen.set(key, entry);
    if (action === "output" && !/^=== |^\s*--- /.test(said)) entry.output = (entry.output + said).slice(0, MAX_OUTPUT);
    else if (action === "pass") entry.status = "passed";
    else if (action === "fail") entry.status = "failed";
    else if (action === "skip") entry.status = "skipped";
  }
  const results = leaves(tests).map((seen) => toResult(seen, module));
  const failedIn = new Set(results.filter(({ status }) => status === "failed").map(({ id }) => id.split("::")[0]));
  const broken = [...packages.values()].filter(({ pkg, status }) => status === "failed" && !failedIn.has(pkg));
  return {
    tests: results,
    errors: broken.map(({ pkg, output: own }): TestError => {
      const said =
        build || stderr.split(/^# /m).find((part) => part.startsWith(`${pkg} `) || part.startsWith(`${pkg}\n`));
      const message = [said ?? stderr, own].filter((part) => part.trim()).join("\n");
      return { id: pkg, ...placeIn(message), message };
    }),
    isComplete:
      !isCut && [...packages.values(), ...tests.values()].every(({ pkg }) => packages.get(`${pkg}::`)?.status),
  };
};

/** Releases before 1.24 say only in words, among the JSON, that a package was not built. */
const buildFailure = (text: string): z.infer<typeof Event> | undefined => {
  const pkg = /^FAIL\s+(\S+) \[(?:build|setup) failed\]/.exec(text)?.[1];
  return pkg === undefined ? undefined : { Action: "fail", Package: pkg };
};

/** A test with subtests stands for nothing of its own, unless it failed and none of them did. */
const leaves = (tests: ReadonlyMap<string, Seen>): Seen[] => {
  const parents = new Set<string>();
  const blamed = new Set<string>();
  for (const { pkg, name, status } of tests.values()) {
    for (let end = name.lastIndexOf("/"); end > 0; end = name.lastIndexOf("/", end - 1)) {
      parents.add(`${pkg}::${name.slice(0, end)}`);
      if (status === "failed") blamed.add(`${pkg}::${name.slice(0, end)}`);
    }
  }
  return [...tests]
    .filter(([key, { status }]) => !parents.has(key) || (status === "failed" && !blamed.has(key)))
    .map(([, seen]) => seen);
};

const toResult = ({ pkg, name, status = "failed", output }: Seen, module: string): TestResult => {
  const id = `${pkg}::${name}`;
  if (status !== "failed") return { id, status };
  const folder = pkg === module ? "" : pkg.startsWith(`${module}/`) ? `${pkg.slice(module.length + 1)}/` : "";
  const { file, line } = placeIn(output);
  return {
    id,
    status,
    ...(file ? { file: file.startsWith("/") ? file : folder + file, line } : {}),
    message: output.trim(),
  };
};

const placeIn = (text: string): { file?: string; line?: number } => {
  const found = /^\s*(?:vet: )?(\S+?\.go):(\d+)/m.exec(text);
  return found ? { file: found[1]!.replace(/^\.\//, ""), line: Number(found[2]) } : {};
};
