import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { alignTable, verdictTable } from "../../bench/report.ts";
import { limitedRun } from "../support/limited-run.ts";
import { judge } from "./bars.ts";
import { ChaosRun } from "./chaos-run.ts";
import type { Figures } from "./figures.ts";
import { PLANTS } from "./plants.ts";
import { ChaosWorld } from "./world.ts";

/** Sized for a CI job: under four minutes in all. 180 s and more are held to every bar. */
const WITH_FAULTS = { seconds: 100, sessions: 50 };
/** What is enough for the checks to see a planted bug. */
const PLANTED = { seconds: 4, sessions: 8 };
/** Beside the work: start, the last recovery, the checks, the end. */
const REST_S = 600;
const SHOWN = 10;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string" },
    sessions: { type: "string" },
    json: { type: "string" },
    plant: { type: "string" },
  },
});
const count = (name: "seed" | "seconds" | "sessions", otherwise: number): number => {
  const value = Number(values[name] ?? otherwise);
  if (Number.isInteger(value) && value > 0) return value;
  return fail(`--${name} takes a whole number above 0`);
};
const plants = (values.plant?.split(",") ?? []).map(
  (name) => PLANTS[name] ?? fail(`--plant takes some of ${Object.keys(PLANTS).join(",")}`),
);
const withFaults = plants.length === 0 || values.seconds !== undefined;
const size = withFaults ? WITH_FAULTS : PLANTED;
const [seed, seconds, sessions] = [count("seed", 1), count("seconds", size.seconds), count("sessions", size.sessions)];

await limitedRun((seconds + REST_S) * 1_000, async ({ say, signal }) => {
  const env = { CAPACITY: "20", POOL_SIZE: "8", WORKSPACE_MB: "64" };
  const world = await ChaosWorld.start({ say, ownEngine: withFaults, env });
  let isGood = false;
  try {
    const options = { seed, seconds, sessions, withFaults, plants, say, signal };
    const { figures, findings } = await new ChaosRun(world, options).run();
    for (const [name, entries] of Object.entries(findings)) {
      for (const entry of entries.slice(0, SHOWN)) say(`${name}: ${entry}`);
    }
    const verdicts = judge(figures, withFaults, seconds);
    console.log(`\n${figuresTable(figures)}\n\n${verdictTable(verdicts)}`);
    if (values.json) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
    isGood = verdicts.every(({ isMet }) => isMet);
    for (const { shows } of plants)
      console.log(`A planted bug was ${figures[shows] === 0 ? "NOT " : ""}seen: ${shows}`);
  } finally {
    await world.stop();
    if (isGood || plants.length > 0) await world.remove();
    else say(`the logs are in ${world.folder}`);
  }
  return isGood;
});

function figuresTable(figures: Figures): string {
  const rows = Object.entries(figures).flatMap(([name, value]) =>
    typeof value === "object"
      ? Object.entries(value).map(([kind, each]) => [`${name}: ${kind}`, String(each)])
      : [[name, String(value)]],
  );
  return alignTable(["figure", "value"], rows, ["left", "right"]);
}

function fail(text: string): never {
  console.error(text);
  process.exit(2);
}
