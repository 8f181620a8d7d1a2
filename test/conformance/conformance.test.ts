import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parse } from "yaml";
import { useCluster } from "../support/use-cluster.ts";

const SUITE = fileURLToPath(
  new URL("../../../node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url),
);
const PRELOAD = new URL("./glob-sync.js", import.meta.url).href;
const VERSION = "0.2.0-alpha.12";
/** Nothing of a baseline may be about anything else. */
const NOT_OFFERED = /prompt|completion|sampling|elicitation|tasks|input-required-result-non-tool-request/;

const ALWAYS = /^(tools-(?!call-sampling|call-elicitation)|dns-rebinding|resources-|server-|ping$|logging-|http-)/;
const WIRES: [wire: string, mustPass: string[]][] = [
  ["2025-11-25", ["server-session-lifecycle", "server-sse-polling", "resources-subscribe", "logging-set-level"]],
  ["2026-07-28", ["server-stateless", "http-header-validation", "http-custom-header-server-validation"]],
];

const baselineOf = (wire: string): string =>
  fileURLToPath(new URL(`../../../test/conformance/baseline-${wire}.yml`, import.meta.url));

describe("The MCP conformance suite, against two replicas without affinity", () => {
  const cluster = useCluster({ CONFORMANCE_FIXTURES: "true" });
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-conformance-"));
  });
  after(() => rm(folder, { recursive: true }));

  it(`is ${VERSION}, which both baselines are made for`, () => {
    const { version } = createRequire(import.meta.url)(join(SUITE, "../../package.json")) as { version: string };
    expect(version).to.equal(VERSION);
  });

  for (const [wire, mustPass] of WIRES) {
    it(`passes on the wire of ${wire}, but for what is not offered`, async function () {
      this.timeout(300_000);
      const args = ["server", "--url", cluster.url, "--suite", "all", "--spec-version", wire];
      args.push("--expected-failures", baselineOf(wire), "--output-dir", folder);
      const { code, output } = await runSuite(args);
      const passed = [...output.matchAll(/^✓ ([^:]+):/gm)].map(([, scenario]) => scenario ?? "");
      const failed = [...output.matchAll(/^✗ ([^:]+):/gm)].map(([, scenario]) => scenario ?? "");
      console.log(`      ${passed.length} scenarios pass, ${failed.length} fail as the baseline says`);
      expect(code, output.slice(output.indexOf("=== SUMMARY ==="))).to.equal(0);
      expect(passed).to.include.members(mustPass);
      expect(failed.filter((scenario) => ALWAYS.test(scenario))).to.deep.equal([]);
    });

    it(`has a baseline for ${wire} that lists only what is not offered`, async () => {
      const { server } = parse(await readFile(baselineOf(wire), "utf8")) as { server: string[] };
      expect(server.filter((entry) => !NOT_OFFERED.test(entry))).to.deep.equal([]);
    });
  }
});

const runSuite = async (args: string[]): Promise<{ code: number | null; output: string }> =>
  await new Promise((resolve) => {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    const child = execFile(process.execPath, ["--import", PRELOAD, SUITE, ...args], options, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, output: stdout + stderr }),
    );
  });
