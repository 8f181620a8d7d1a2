import { writeFileSync } from "node:fs";
import { dashboardFiles } from "../compose/grafana/source/dashboards.ts";

for (const [name, json] of dashboardFiles()) {
  writeFileSync(`compose/grafana/dashboards/${name}`, json);
  console.log(`wrote compose/grafana/dashboards/${name}`);
}
