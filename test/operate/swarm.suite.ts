import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import Docker from "dockerode";
import { VERSION } from "../../shared/version.ts";
import { demoSession } from "../interop/demo-session.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { PrivateEngine } from "../support/private-engine.ts";
import { countTargets, type PrometheusTargets } from "../support/prometheus-targets.ts";
import { begin, connectModern, type ToolClient } from "../support/tool-client.ts";

const MINUTES = 60_000;
const DOC = "docs/scaling.md";
const IMAGES = ["coordinator", "worker", "redis", "haproxy", "agent", "python", "prometheus"];
const TARGETS = 'fetch("http://prometheus:9090/api/v1/targets").then((r) => r.text()).then(console.log)';

/** This machine's engine must not become a swarm, so there is another one for it. */
describe("The Swarm stack, on one node,", function () {
  this.timeout(10 * MINUTES); // the images are built, and loaded, in it
  let folder: string;
  let engine: PrivateEngine;
  let client: ToolClient;
  let setUp: string;
  let monitor: string;
  let takeDown: string;

  const run = async (command: string, ...args: string[]): Promise<string> => {
    const own = {
      DOCKER_HOST: `unix://${engine.socket}`,
      ADDRESS: engine.address,
      PUBLIC_URL: `http://${engine.address}:8080`,
      DOCKER_SOCKET: engine.socket,
      RUN_DIR: join(folder, "run"),
      POOL_SIZE: "1",
      WORKSPACE_MB: "64",
      PROMETHEUS_IMAGE: `codegen-mcp/prometheus:${VERSION}`,
    };
    const options = { cwd: folder, env: { ...process.env, ...own }, maxBuffer: 64 * 1024 * 1024 };
    return (await promisify(execFile)(command, args, options)).stdout.trim();
  };
  const docker = (...args: string[]): Promise<string> => run("docker", ...args);
  const shell = (script: string): Promise<string> => run("bash", "-euxo", "pipefail", "-c", script);
  const containersOf = async (service: string): Promise<Docker.ContainerInfo[]> => {
    const label = [`com.docker.swarm.service.name=codegen_${service}`];
    return await engine.docker.listContainers({ filters: { label } });
  };
  const sandboxOf = async (session: unknown): Promise<string> => {
    const filters = { name: [String(session)] };
    return (await engine.docker.listContainers({ filters })).map(({ Id }) => Id).join();
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-swarm-"));
    for (const entry of await readdir(".")) {
      if (entry === "compose")
        await cp(entry, join(folder, entry), { recursive: true }); // tokens are kept there
      else await symlink(resolve(entry), join(folder, entry));
    }
    await promisify(execFile)("scripts/build-stack", ["prometheus"]);
    const images = IMAGES.map((name) => `codegen-mcp/${name}:${VERSION}`);
    engine = await PrivateEngine.start(join(folder, "engine"), images, new Docker(), { isLinked: true });
    const [, section = ""] = /^## Several hosts: Docker Swarm$(.*?)^## /ms.exec(await readFile(DOC, "utf8")) ?? [];
    [setUp = "", monitor = "", takeDown = ""] = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(
      ([, block = ""]) => block,
    );
    await shell(setUp);
    const token = await readFile(join(folder, "compose/auth/operator.token"), "utf8");
    client = await connectModern(`http://${engine.address}:8080/mcp`, { Authorization: `Bearer ${token.trim()}` });
  });
  after(async () => {
    await client?.close();
    if (engine) await docker("swarm", "leave", "--force").catch(() => {});
    await engine?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("runs this version's images", async () => {
    const text = await readFile("compose/swarm/stack.yml", "utf8");
    const tags = [...text.matchAll(/codegen-mcp\/\w+:([\d.]+)/g)].map(([, tag]) => tag);
    expect(new Set(tags)).to.deep.equal(new Set([VERSION]));
  });

  it("does a whole session through the front door, asked with a token", async () => {
    await demoSession(client);
  });

  it("has a Prometheus that finds every task", async () => {
    await shell(monitor);
    const [worker] = await containersOf("worker");
    const asked = (): Promise<string> => docker("exec", worker?.Id ?? "", "node", "-e", TARGETS);
    const targets = async () => countTargets(JSON.parse(await asked()) as PrometheusTargets);
    const all = { "codegen-coordinator up": 3, "codegen-worker up": 1 };
    await eventually("it reads all", async () => expect(await targets()).to.deep.equal(all), 2 * MINUTES);
  });

  it("keeps a session, and what runs in it, when the worker of its node is updated", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    const { answer } = await begin(client, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const before = await sandboxOf(session_id);
    await docker("service", "update", "--detach=false", "--force", "codegen_worker");
    await docker("exec", before, "touch", "/home/dev/workspace/go");
    const { structured } = await answer;
    expect(structured).to.include({ status: "exited", exit_code: 0 }).and.not.to.have.property("notice");
    expect(await sandboxOf(session_id)).to.equal(before);
    await client.call("close_session", { session_id });
  });

  it("keeps what a session has told when the worker is killed: Swarm starts another", async () => {
    const { session_id } = (await client.call("create_session", { durability: "call" })).structured;
    await client.call("run_command", { session_id, command: "echo told > kept", wait_ms: 50_000 });
    const [killed] = await containersOf("worker");
    await docker("kill", "--signal", "KILL", killed?.Id ?? "");
    const kept = await eventually(
      "it answers again",
      async () => {
        const { structured } = await client.call("run_command", { session_id, command: "cat kept", wait_ms: 50_000 });
        return structured.status === "exited" && structured;
      },
      3 * MINUTES,
    );
    expect(kept).to.include({ exit_code: 0, stdout: "told\n" });
    expect((await containersOf("worker")).map(({ Id }) => Id)).not.to.include(killed?.Id);
    await client.call("close_session", { session_id });
  });

  it("has as many coordinators as are asked for, while clients call", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    for (const count of [1, 4]) {
      const scaled = docker("service", "scale", `codegen_coordinator=${count}`);
      for (let i = 0; i < 20; i++) {
        const { structured } = await client.call("run_command", { session_id, command: "echo again" });
        expect(structured).to.include({ status: "exited", stdout: "again\n" });
      }
      await scaled;
      const areSo = async (): Promise<boolean> => (await containersOf("coordinator")).length === count;
      await eventually(`there are ${count}`, areSo, 2 * MINUTES);
    }
    await client.call("close_session", { session_id });
  });

  it("leaves nothing when it is taken down as its page says, sessions that are open included", async () => {
    for (let i = 0; i < 3; i++) await client.call("create_session");
    await shell(takeDown);
    const left = async (): Promise<unknown[]> => [
      ...(await engine.docker.listContainers({ all: true })).map(({ Names }) => Names.join()),
      ...(await engine.docker.listServices()).map(({ Spec }) => Spec?.Name),
      ...(await engine.docker.listConfigs()).map(({ Spec }) => Spec?.Name),
      ...(await engine.docker.listNetworks()).map(({ Name }) => Name).filter((name) => name.startsWith("codegen")),
    ];
    await eventually("nothing is left", async () => expect(await left()).to.deep.equal([]), 2 * MINUTES);
  });
});
