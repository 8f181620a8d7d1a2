import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Verdict } from "../../bench/bars.ts";
import { alignTable, verdictTable } from "../../bench/report.ts";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { limitedRun } from "../support/limited-run.ts";
import { type LoadFigures, LoadRun } from "./load-run.ts";

/** Not /tmp, which lives in memory on some systems. */
const FOLDER = "/var/tmp/codegen-mcp-load-";
/** Sized for a CI job; `--sessions 500 --calls 10000` is the whole. */
const SIZE = { sessions: "300", calls: "5000" };
const LIMIT_MS = 1_200_000;
/** The most that resident memory may grow from the second to the last quarter of the calls. */
const MAX_GROWTH = 1.05;
/** From this many calls on: below, a quarter of them is over before the processes' heaps have found their size. */
const WHOLE_CALLS = 10_000;
/** What Redis may keep of a call; it grows by that until the first records are an hour old. */
const MAX_KB_PER_CALL = 8;

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: SIZE.sessions },
    calls: { type: "string", default: SIZE.calls },
    json: { type: "string" },
  },
});
const [sessions, calls] = [Number(values.sessions), Number(values.calls)];
if (![sessions, calls].every((value) => Number.isInteger(value) && value > 0)) {
  console.error("--sessions and --calls take whole numbers above 0");
  process.exit(2);
}

await limitedRun(LIMIT_MS, async ({ say, signal }) => {
  const folder = await mkdtemp(FOLDER);
  say("Redis, two coordinators, two workers");
  const env = { CAPACITY: String(sessions), WORKSPACE_MB: "32" };
  const stack = await EmbeddedStack.start({ folder, coordinators: 2, workers: 2, env });
  let isGood = false;
  try {
    const figures = await new LoadRun(stack, { sessions, calls, say, signal }).run();
    const verdicts = judge(figures);
    console.log(`\n${figuresTable(figures)}\n\n${verdictTable(verdicts)}`);
    if (values.json) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    isGood = verdicts.every(({ isMet }) => isMet);
  } finally {
    await stack.stop();
  }
  if (isGood) await rm(folder, { recursive: true });
  else say(`the logs are in ${folder}`);
  return isGood;
});

function judge(figures: LoadFigures): Verdict[] {
  const { failed_calls: failed, memory, file_descriptors: files, keys, containers } = figures;
  const asBefore = (text: string, { before, after }: { before: number; after: number }): Verdict => ({
    text: `${text} after close as before`,
    measured: `${before} → ${after}`,
    isMet: after <= before,
  });
  return [
    { text: "every call answered rightly", measured: `${failed} not`, isMet: failed === 0 },
    ...(figures.calls < WHOLE_CALLS ? [] : Object.entries(memory)).map(([name, { ratio }]) => ({
      text: `${name}: memory in the last quarter ≤ ${MAX_GROWTH} × the second`,
      measured: `${ratio} ×`,
      isMet: ratio <= MAX_GROWTH,
    })),
    {
      text: `Redis keeps of a call ≤ ${MAX_KB_PER_CALL} KB`,
      measured: `${figures.redis_kb_per_call} KB`,
      isMet: figures.redis_kb_per_call <= MAX_KB_PER_CALL,
    },
    ...Object.entries(files).map(([name, counts]) => asBefore(`${name}: file descriptors`, counts)),
    asBefore("keys", keys),
    asBefore("containers", containers),
  ];
}

function figuresTable(figures: LoadFigures): string {
  const { memory, file_descriptors: _, keys: __, containers: ___, ...counts } = figures;
  const rows = Object.entries(counts).map(([name, value]) => [name, String(value)]);
  for (const [name, { second_quarter_mb: second, last_quarter_mb: last }] of Object.entries(memory)) {
    rows.push([`${name}, second and last quarter`, `${second} → ${last} MB`]);
  }
  return alignTable(["figure", "value"], rows, ["left", "right"]);
}
