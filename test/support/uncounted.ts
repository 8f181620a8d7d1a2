import { Registry } from "prom-client";
import { WorkerMetrics } from "../../worker/metrics.ts";

/** For parts of a worker whose figures nobody looks at. */
export const uncounted = new WorkerMetrics(new Registry(), () => true);
