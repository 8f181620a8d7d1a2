import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { freePort } from "../../compose/embedded/private-redis.ts";

const START_MS = 60_000;
const STOP_MS = 20_000;
const SCRAPE = "2s";

export interface Sample {
  metric: Record<string, string>;
  value: number;
}

export interface Rule {
  type: "recording" | "alerting";
  name: string;
  query: string;
  health: string;
  state?: "inactive" | "pending" | "firing";
}

/** The folder of rules that deployments use. */
export const PROMETHEUS_FOLDER = fileURLToPath(new URL("../../../compose/prometheus", import.meta.url));

/** A Prometheus of our own, on a free loopback port, with its data in a folder of the test's. */
export class PrometheusServer {
  private constructor(
    readonly url: string,
    private readonly process: ManagedProcess,
  ) {}

  /** @param targets URLs of metrics, by job */
  static async start(folder: string, targets: Record<string, string[]>): Promise<PrometheusServer> {
    await mkdir(folder, { recursive: true });
    const config = {
      global: { scrape_interval: SCRAPE, scrape_timeout: SCRAPE, evaluation_interval: SCRAPE },
      rule_files: [join(PROMETHEUS_FOLDER, "rules/*.yml")],
      scrape_configs: Object.entries(targets).map(([job_name, urls]) => ({
        job_name,
        static_configs: [{ targets: urls.map((url) => new URL(url).host) }],
      })),
    };
    const configFile = join(folder, "prometheus.yml");
    await writeFile(configFile, JSON.stringify(config)); // which is YAML too
    const port = await freePort();
    const args = [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const process = new ManagedProcess("prometheus", "prometheus", args, { logFile: join(folder, "prometheus.log") });
    await process.line(/Server is ready to receive web requests/, START_MS);
    return new PrometheusServer(`http://127.0.0.1:${port}`, process);
  }

  async stop(): Promise<void> {
    await this.process.stop(STOP_MS);
  }

  /** An expression's value now. @throws when it does not parse */
  async query(expr: string): Promise<Sample[]> {
    const data = (await this.#get("query", { query: expr })) as QueryData;
    if (data.resultType === "scalar") return [{ metric: {}, value: Number(data.result[1]) }];
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async metricNames(): Promise<Set<string>> {
    return new Set((await this.#get("label/__name__/values", {})) as string[]);
  }

  async labelValues(metric: string, label: string): Promise<string[]> {
    return (await this.#get(`label/${label}/values`, { "match[]": metric })) as string[];
  }

  async rules(): Promise<Rule[]> {
    const { groups } = (await this.#get("rules", {})) as { groups: { rules: Rule[] }[] };
    return groups.flatMap(({ rules }) => rules);
  }

  async #get(path: string, query: Record<string, string>): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(query)}`);
    const { status, data, error } = (await response.json()) as { status: string; data: unknown; error?: string };
    if (status !== "success") throw new Error(`Prometheus refused ${JSON.stringify(query)}: ${error}`);
    return data;
  }
}

type QueryData =
  | { resultType: "scalar"; result: [number, string] }
  | { resultType: "vector"; result: { metric: Record<string, string>; value: [number, string] }[] };
