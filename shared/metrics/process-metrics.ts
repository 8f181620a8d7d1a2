import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";
import { VERSION } from "../version.ts";

/** Milliseconds between two looks at the event loop: each wakes an idle process. */
const LAG_RESOLUTION_MS = 50;

/** What every process says of itself: prom-client's `process_*` and `nodejs_*` (event-loop lag among them) and its build. */
export const collectProcessMetrics = (registry: Registry, part: "coordinator" | "worker"): void => {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_RESOLUTION_MS });
  new Gauge({
    name: "codegen_build_info",
    help: "1; its labels say which part of codegen-mcp this is, and the versions that it runs",
    labelNames: ["part", "version", "node"],
    registers: [registry],
  }).set({ part, version: VERSION, node: process.version }, 1);
};
