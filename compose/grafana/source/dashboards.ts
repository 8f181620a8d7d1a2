import { type Dashboard, toJson } from "./dashboard.ts";
import { overview } from "./overview.ts";
import { sessionsAndCalls } from "./sessions-and-calls.ts";
import { workersAndCapacity } from "./workers-and-capacity.ts";

const all: Record<string, Dashboard> = {
  overview,
  "sessions-and-calls": sessionsAndCalls,
  "workers-and-capacity": workersAndCapacity,
};

/** File names in `compose/grafana/dashboards/`, and what they hold. */
export const dashboardFiles = (): Map<string, string> =>
  new Map(Object.entries(all).map(([name, dashboard]) => [`${name}.json`, toJson(dashboard)]));
