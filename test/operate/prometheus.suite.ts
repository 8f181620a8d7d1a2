import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { parse } from "yaml";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { dashboardFiles } from "../../compose/grafana/source/dashboards.ts";
import { demoSession } from "../interop/demo-session.ts";
import { eventually } from "../support/eventually.ts";
import { PROMETHEUS_FOLDER, PrometheusServer, type Sample } from "../support/prometheus-server.ts";
import { connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";

const RUNBOOK = new URL("../../../docs/runbook.md", import.meta.url);
const SCRAPED_MS = 60_000;
/** What Prometheus itself knows of alerts; there only while one is pending or fires. */
const OF_PROMETHEUS = new Set(["ALERTS"]);

interface Alert {
  alert: string;
  expr: string;
  annotations: { summary: string; description: string; runbook_url: string };
}
interface DashboardJson {
  templating: { list: { name: string; query: { query: string } }[] };
  panels: { title: string; targets?: { expr: string }[] }[];
}

const promtool = (...args: string[]): string =>
  execFileSync("promtool", args, { cwd: PROMETHEUS_FOLDER, encoding: "utf8" });
const alerts = async (): Promise<Alert[]> => {
  const text = await readFile(join(PROMETHEUS_FOLDER, "rules/alerts.yml"), "utf8");
  return (parse(text) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);
};
const boards = [...dashboardFiles()].map(([name, json]) => ({ name, board: JSON.parse(json) as DashboardJson }));

/** As Grafana would ask, with every choice at "All". */
const asked = (expr: string): string =>
  expr.replaceAll("$__rate_interval", "30s").replaceAll(/\$(tool|worker)\b/g, ".*");
/** What an alert compares. */
const compared = (expr: string): string => expr.replace(/ (>|<|==) [\d.]+$/, "");
const namesIn = (expr: string): string[] =>
  [...expr.replaceAll(/"[^"]*"/g, '""').matchAll(/\b(codegen[_:][\w:]+|nodejs_\w+|process_\w+|up|ALERTS)\b/g)].map(
    ([name]) => name,
  );

describe("Prometheus, with the rules and dashboards of compose/", () => {
  it("finds no fault in its configuration", () => {
    promtool("check", "config", "prometheus.yml");
  });

  it("fires each alert when it should, and not when it should not", async () => {
    promtool("test", "rules", "tests/alerts.yml");
    const { tests } = parse(await readFile(join(PROMETHEUS_FOLDER, "tests/alerts.yml"), "utf8")) as {
      tests: { name: string }[];
    };
    const cases = (await alerts()).flatMap(({ alert }) => [`${alert} fires`, `${alert} does not fire`]);
    expect(tests.map(({ name }) => name).toSorted()).to.deep.equal(cases.toSorted());
  });

  it("names for each alert a paragraph of the runbook, and no paragraph is without its alert", async () => {
    const headings = [...(await readFile(RUNBOOK, "utf8")).matchAll(/^## (\w+)\n\n\S/gm)].map(([, name]) => name!);
    const all = await alerts();
    expect(headings.toSorted()).to.deep.equal(all.map(({ alert }) => alert).toSorted());
    for (const { alert, annotations } of all) {
      expect(annotations.runbook_url).to.equal(`docs/runbook.md#${alert.toLowerCase()}`);
      expect(annotations.summary).to.be.a("string").and.not.equal("");
    }
  });

  describe("reading a stack at work", function () {
    this.timeout(240_000);
    let folder: string;
    let stack: EmbeddedStack;
    let prometheus: PrometheusServer;
    let client: ToolClient;
    let isWorking = true;
    let working: Promise<void>;

    /** Something of everything that is drawn: results, failures, waits, output, checkpoints and what comes back from them. */
    const work = async (): Promise<void> => {
      const { session_id } = (await client.call("create_session", {})).structured;
      const call = (name: string, args: Record<string, unknown> = {}) => client.call(name, { session_id, ...args });
      const slow = call("run_command", { command: "echo out; echo err >&2; sleep 0.3" });
      await Promise.all([slow, call("run_command", { command: "true" })]);
      await call("write_file", { path: "kept", content: "kept" });
      await call("create_checkpoint", { name: "here" });
      const { checkpoints } = (await call("list_checkpoints")).structured;
      const [checkpoint] = checkpoints as { checkpoint_id: string }[];
      await call("restore_checkpoint", { checkpoint_id: checkpoint?.checkpoint_id });
      expect(failureOf(await call("read_file", { path: "missing" }))).to.equal("NOT_FOUND");
      await call("close_session");
    };

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
      const env = {
        LEASE_MS: "3000",
        BEAT_MS: "500",
        POOL_SIZE: "1",
        CAPACITY: "8",
        WORKSPACE_MB: "64",
        SWEEP_MS: "500",
      };
      stack = await EmbeddedStack.start({ folder, workers: 2, env });
      const urls = (part: "coordinators" | "workers") => stack[part].map((child) => stack.metricsUrl(child));
      const targets = { "codegen-coordinator": urls("coordinators"), "codegen-worker": urls("workers") };
      prometheus = await PrometheusServer.start(join(folder, "prometheus"), targets);
      client = await connectModern(stack.url);
      await demoSession(client);
      working = (async () => {
        while (isWorking) await work();
      })();
      working.catch(() => {}); // `after` tells
    });
    after(async () => {
      isWorking = false;
      await working;
      await client?.close();
      await prometheus?.stop();
      const codes = await stack?.stop();
      expect(codes).to.satisfy((all: unknown[]) => all.every((code) => code === 0));
      await rm(folder, { recursive: true, force: true });
    });

    /** It parses, names metrics that exist, and has a value. */
    const expectData = async (expr: string): Promise<Sample[]> =>
      await eventually(
        `${expr} has data`,
        async () => {
          const data = await prometheus.query(expr);
          const missing = namesIn(expr).filter((name) => !OF_PROMETHEUS.has(name) && !names.has(name));
          if (missing.length > 0) names = await prometheus.metricNames();
          expect(missing, `metrics that do not exist, in ${expr}`).to.deep.equal([]);
          return data.some(({ value }) => Number.isFinite(value)) && data;
        },
        SCRAPED_MS,
      );
    let names = new Set<string>();

    for (const { name, board } of boards) {
      for (const { title, targets = [] } of board.panels)
        for (const { expr } of targets)
          it(`has data for "${title}" of ${name}: ${expr}`, () => expectData(asked(expr)));
      for (const { name: variable, query } of board.templating.list)
        it(`has values for $${variable} of ${name}`, async () => {
          const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(query.query) ?? [];
          expect(await prometheus.labelValues(metric, label)).not.to.be.empty;
        });
    }

    it("evaluates every rule without an error", async () => {
      const rules = await eventually("all rules were evaluated", async () => {
        const all = await prometheus.rules();
        return all.length > 0 && all.every(({ health }) => health !== "unknown") && all;
      });
      expect(rules.filter(({ health }) => health !== "ok")).to.deep.equal([]);
      for (const { name, type } of rules) if (type === "recording") await expectData(name);
    });

    it("has data for what every alert compares, and none fires", async () => {
      for (const { expr } of await alerts()) {
        expect(compared(expr), expr).not.to.equal(expr);
        await expectData(compared(expr));
      }
      const firing = (await prometheus.rules()).filter(({ state }) => state === "firing");
      expect(firing.map(({ name }) => name)).to.deep.equal([]);
    });

    it("reads on while Redis hangs, and is told so", async () => {
      stack.redis.signal("SIGSTOP");
      try {
        await eventually("all say that Redis is away", async () => {
          const [up] = await prometheus.query("min(up)");
          const [redis] = await prometheus.query("max(codegen_redis_up)");
          return up?.value === 1 && redis?.value === 0;
        });
      } finally {
        stack.redis.signal("SIGCONT");
      }
      await eventually(
        "all reach it again",
        async () => (await prometheus.query("min(codegen_redis_up)"))[0]?.value === 1,
      );
    });

    it("sees a worker die that it reads from: its series end, and WorkerLost fires", async () => {
      isWorking = false;
      await working;
      const victim = stack.workers[1]!;
      const instance = new URL(stack.metricsUrl(victim)).host;
      const of = (expr: string): Promise<Sample[]> => prometheus.query(expr.replace("$", `instance="${instance}"`));
      expect((await of("up{$}"))[0]?.value).to.equal(1);
      victim.signal("SIGKILL");
      await victim.exited;
      await eventually("its series are stale", async () => {
        const [up] = await of("up{$}");
        return up?.value === 0 && (await of("codegen_session_slots{$}")).length === 0;
      });
      await eventually(
        "the alert fires",
        async () => (await prometheus.rules()).find(({ name }) => name === "CodegenWorkerLost")?.state === "firing",
        SCRAPED_MS,
      );
      await eventually("one is left", async () => (await prometheus.query("max(codegen_workers)"))[0]?.value === 1);
      expect((await prometheus.query('min(up{job="codegen-coordinator"})'))[0]?.value).to.equal(1);
      const filters = { label: [`codegen-mcp.deployment=${stack.deployment}`] };
      const left = async (): Promise<number> => (await new Docker().listContainers({ all: true, filters })).length;
      await eventually("only the pool of the other is left", async () => (await left()) === 1, SCRAPED_MS);
    });
  });
});
