import { readFile } from "node:fs/promises";
import { expect } from "chai";
import Docker from "dockerode";
import { freePort } from "../../compose/embedded/private-redis.ts";
import { VERSION } from "../../shared/version.ts";
import { demoSession } from "../interop/demo-session.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { ComposeProject } from "../support/compose-project.ts";
import { eventually } from "../support/eventually.ts";
import { countTargets, type PrometheusTargets } from "../support/prometheus-targets.ts";
import { begin, connectModern, connectV1, type ToolClient } from "../support/tool-client.ts";
import { SteadyAgents } from "./steady-agents.ts";

const MINUTES = 60_000;
const SESSIONS = 30;
const COORDINATORS = 2;
const WORKERS = 3;

describe("The Compose stack, with two coordinators and three workers,", function () {
  this.timeout(10 * MINUTES); // the images are built in it
  const docker = new Docker();
  let project: ComposeProject;
  let prometheusPort: number;
  const clients: ToolClient[] = [];
  const connect = async (): Promise<ToolClient> => {
    const client = await connectModern(project.url, await project.headers());
    clients.push(client);
    return client;
  };
  const scale = async (coordinators: number, workers: number): Promise<void> => {
    const numbers = ["--scale", `coordinator=${coordinators}`, "--scale", `worker=${workers}`];
    await project.stack("up", "-d", "--no-recreate", ...numbers);
  };
  const ready = (workers: number): Promise<unknown> =>
    eventually(
      `${workers} workers are ready`,
      async () => {
        const state = await project.readiness();
        return state?.redis === "ok" && state.workers === workers;
      },
      2 * MINUTES,
    );
  const targets = async (): Promise<Record<string, number>> => {
    const response = await fetch(`http://127.0.0.1:${prometheusPort}/api/v1/targets`);
    return countTargets((await response.json()) as PrometheusTargets);
  };
  const sandboxOf = async (session: unknown): Promise<string> => {
    const filters = { label: [`codegen-mcp.deployment=${project.name}`], name: [String(session)] };
    return (await docker.listContainers({ filters })).map(({ Id }) => Id).join();
  };

  before(async () => {
    // One worker may have to hold all sessions; workspaces are small, because CI's memory is.
    prometheusPort = await freePort();
    const prometheus = {
      PROMETHEUS_PORT: String(prometheusPort),
      PROMETHEUS_IMAGE: `codegen-mcp/prometheus:${VERSION}`,
    };
    const settings = {
      ...prometheus,
      CAPACITY: String(SESSIONS + 10),
      POOL_SIZE: "1",
      WORKSPACE_MB: "64",
      SWEEP_MS: "1000",
    };
    project = await ComposeProject.create(settings);
    await scale(COORDINATORS, WORKERS);
    await ready(WORKERS);
  });
  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.error(await project.stack("logs", "--tail", "100", "front-door"));
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await project?.remove();
  });

  it("runs this version's images, and tells that it is healthy", async () => {
    const text = await readFile("compose/docker-compose.yml", "utf8");
    const tags = [...text.matchAll(/codegen-mcp\/\w+:([\d.]+)/g)].map(([, tag]) => tag);
    expect(new Set(tags)).to.deep.equal(new Set([VERSION]));
    for (const [service, count] of Object.entries({
      redis: 1,
      coordinator: COORDINATORS,
      worker: WORKERS,
      "front-door": 1,
    })) {
      await eventually(
        `${service} is healthy`,
        async () => {
          const containers = await project.containersOf(service);
          return containers.filter(({ State }) => State.Health?.Status === "healthy").length === count;
        },
        MINUTES,
      );
    }
  });

  it("has a Prometheus that finds every replica, and reads its rules", async () => {
    await project.run("scripts/build-stack", "prometheus");
    await project.stack("up", "-d", "--no-recreate", "prometheus");
    const found = { "codegen-coordinator up": COORDINATORS, "codegen-worker up": WORKERS };
    await eventually("it reads all", async () => expect(await targets()).to.deep.equal(found), 2 * MINUTES);
    const rules = await fetch(`http://127.0.0.1:${prometheusPort}/api/v1/rules`);
    expect(await rules.text()).to.include("CodegenNoWorkers");
  });

  it("gives no process more rights than it needs", async () => {
    for (const service of ["redis", "coordinator", "worker", "front-door"]) {
      for (const { Config, HostConfig } of await project.containersOf(service)) {
        expect(HostConfig.CapDrop, service).to.deep.equal(["ALL"]);
        expect(HostConfig.ReadonlyRootfs, service).to.equal(true);
        expect(HostConfig.SecurityOpt, service).to.deep.equal(["no-new-privileges:true"]);
        if (service !== "worker") expect(Config.User, service).to.match(/^(redis|65534:65534)$/);
      }
    }
    const [redis] = await project.containersOf("redis");
    expect(redis?.HostConfig.PortBindings ?? {}, "nobody outside reaches it").to.deep.equal({});
  });

  for (const [who, connectAs] of [
    ["2026-07-28", connectModern],
    ["2025-11-25", connectV1],
  ] as const)
    it(`does a whole session through the front door, by ${who}`, async () => {
      const client = await connectAs(project.url, await project.headers());
      await demoSession(client);
      await client.close();
    });

  it("carries files by signed URLs through the front door, whichever replica is asked", async () => {
    const client = await connect();
    const { session_id } = (await client.call("create_session")).structured;
    const content = Buffer.alloc(8 * 1024 * 1024, "codegen");
    for (let i = 0; i < 4; i++) {
      const put = (await client.call("put_artifact", { session_id, path: `in-${i}` })).structured;
      expect(String(put.url)).to.match(new RegExp(`^${project.origin}/`));
      const sent = await fetch(String(put.url), { method: "PUT", body: content });
      expect(sent.status, await sent.text()).to.be.within(200, 204);
      const got = (await client.call("get_artifact", { session_id, path: `in-${i}` })).structured;
      const back = await fetch(String(got.url));
      expect(Buffer.from(await back.arrayBuffer()).equals(content)).to.equal(true);
    }
    await client.call("close_session", { session_id });
  });

  it("lets nobody in without a token", async () => {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
    expect((await fetch(project.url, { method: "POST", headers, body })).status).to.equal(401);
  });

  it("shows nobody outside what replicas and workers tell each other", async () => {
    for (const path of ["/metrics", "/transfers/x"])
      expect((await fetch(`${project.origin}${path}`)).status, path).to.equal(404);
  });

  it(`is scaled down and up while ${SESSIONS} agents work: every call is done once and told rightly`, async () => {
    const agents = await SteadyAgents.open(project.url, await project.headers(), SESSIONS);
    agents.start();
    await agents.callsMore(2);
    await scale(COORDINATORS, 1);
    await ready(1);
    await agents.callsMore(2);
    await scale(1, WORKERS);
    await ready(WORKERS);
    await agents.callsMore(2);
    await scale(COORDINATORS, WORKERS);
    await agents.callsMore(2);
    expect(await agents.stop()).to.deep.equal([]);
  });

  it("keeps sessions, and what runs in them, when its workers are made anew", async () => {
    const client = await connect();
    const { session_id } = (await client.call("create_session")).structured;
    const { answer } = await begin(client, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const before = await sandboxOf(session_id);
    const numbers = ["--scale", `worker=${WORKERS}`];
    await project.stack("up", "-d", "--no-deps", "--force-recreate", ...numbers, "worker");
    await ready(WORKERS);
    const exec = await docker.getContainer(before).exec({ Cmd: ["touch", "/home/dev/workspace/go"] });
    await exec.start({});
    const { structured } = await answer;
    expect(structured).to.include({ status: "exited", exit_code: 0 }).and.not.to.have.property("notice");
    expect(await sandboxOf(session_id)).to.equal(before);
    await client.call("close_session", { session_id });
  });

  it("goes on where it was when its Redis is killed and started again", async () => {
    const client = await connect();
    const { session_id } = (await client.call("create_session")).structured;
    const running = await client.call("run_command", { session_id, command: UNTIL_GO, wait_ms: 0 });
    const before = await sandboxOf(session_id);
    await project.stack("kill", "redis");
    const refused = await client.call("run_command", { session_id, command: "true" });
    expect(refused.structured).to.include({ code: "STORE_UNAVAILABLE", retryable: true });
    await project.stack("start", "redis");
    await ready(WORKERS);
    const exec = await docker.getContainer(before).exec({ Cmd: ["touch", "/home/dev/workspace/go"] });
    await exec.start({});
    const ended = await eventually(
      "its call ended",
      async () => {
        const { structured } = await client.call("get_call", { call_id: running.structured.call_id, wait_ms: 5_000 });
        return structured.state === "done" && (structured.result as Record<string, unknown>);
      },
      MINUTES,
    );
    expect(ended).to.include({ exit_code: 0 }).and.not.to.have.property("notice");
    expect(await sandboxOf(session_id)).to.equal(before);
    await client.call("close_session", { session_id });
  });

  it("leaves nothing when it is taken down, sessions that are open included", async () => {
    const client = await connect();
    for (let i = 0; i < 4; i++) await client.call("create_session");
    const isSwept = async (): Promise<boolean> => (await project.left()).runFolders.length === WORKERS;
    await eventually("what earlier workers left is swept", isSwept, MINUTES);
    await project.stack("--profile", "monitoring", "down", "-v");
    expect(await project.left()).to.deep.equal({ containers: [], networks: [], volumes: [], runFolders: [] });
  });
});
