import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const FOLDER = "/run/codegen-mcp-engine";
const REFUSAL = "does not allow this call";

/** What somebody may try who got hold of a worker's socket. */
const FORBIDDEN: [string, string][] = [
  ["POST", "/containers/x/exec"],
  ["POST", "/exec/x/start"],
  ["POST", "/images/load"],
  ["POST", "/images/create?fromImage=evil"],
  ["POST", "/build"],
  ["POST", "/commit?container=x"],
  ["GET", "/containers/x/export"],
  ["GET", "/containers/x/archive?path=/"],
  ["GET", "/containers/x/logs?stdout=1"],
  ["POST", "/containers/x/kill"],
  ["POST", "/containers/prune"],
  ["DELETE", "/images/codegen-mcp/python:0"],
  ["GET", "/secrets"],
  ["POST", "/secrets/create"],
  ["GET", "/configs"],
  ["POST", "/swarm/init"],
  ["POST", "/services/create"],
  ["POST", "/plugins/pull"],
  ["POST", "/networks/x/connect"],
  ["POST", "/networks/create"],
  ["GET", "/networks/x"],
  ["POST", "/auth"],
  ["GET", "/v1.41/secrets"],
  ["GET", "/containers/json/../../secrets"],
  ["GET", "/containers/json/..%2f..%2fsecrets"],
  ["GET", "//secrets"],
  ["GET", "/images/x/../../secrets?/json"],
  ["GET", "/containers/x%2fjson%3f/json"],
  ["PATCH", "/containers/json"],
  ["GET", "/"],
];
const ALLOWED: [string, string, number][] = [
  ["GET", "/_ping", 200],
  ["GET", "/v1.41/version", 200],
  ["GET", "/containers/none/json", 404],
  ["POST", "/containers/none/pause", 404],
  ["POST", "/v1.41/containers/none/unpause", 404],
  ["GET", "/images/codegen-mcp/none:1/json", 404],
  ["DELETE", "/volumes/none-at-all", 404],
];

/** The proxy as it is configured for real, in a folder of its own, from before the tests until after them. */
const useSocketProxy = () => {
  const folder = mkdtempSync(join(tmpdir(), "proxy-"));
  const socketPath = join(folder, "docker.sock");
  let nginx: ManagedProcess | undefined;
  const ask = (method: string, path: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ socketPath, method, path, headers: { Host: "docker" } }, (answer) => {
        let text = "";
        answer.on("data", (chunk) => {
          text += String(chunk);
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  before("start the proxy", async () => {
    const config = join(folder, "nginx.conf");
    writeFileSync(config, readFileSync("compose/socket-proxy/nginx.conf", "utf8").replaceAll(FOLDER, folder));
    nginx = new ManagedProcess("nginx", "nginx", ["-c", config], { logFile: join(folder, "nginx.log") });
    await eventually("the proxy answers", async () => (await ask("GET", "/_ping")).status === 200);
  });
  return {
    socketPath,
    ask,
    end: async (): Promise<void> => {
      await nginx?.stop(10_000);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

for (const transport of ["socket", "attach"]) {
  describe(`A worker behind the socket proxy, its agents over ${transport}`, function () {
    this.timeout(180_000);
    const proxy = useSocketProxy();
    const cluster = useCluster({
      ...{ DOCKER_HOST: `unix://${proxy.socketPath}`, AGENT_TRANSPORT: transport, SWEEP_MS: "200", POOL_SIZE: "1" },
      ALLOW_EGRESS: "true",
    });
    let client: ToolClient;
    before(async () => {
      client = await connectModern(cluster.url);
    });
    cluster.beforeStop(() => client.close());
    after(() => proxy.end()); // after the cluster's end
    it("serves a whole session", async () => {
      const args = { network: transport === "socket" ? "egress" : "none", memory_mb: 300, cpus: 0.5 };
      const { structured, text } = await client.call("create_session", args);
      expect(structured.session_id, text).to.be.a("string");
      const { session_id } = structured;
      const call = async (tool: string, more: object): Promise<Record<string, unknown>> => {
        const answer = await client.call(tool, { session_id, ...more });
        expect(answer.isError, answer.text).to.equal(false);
        return answer.structured;
      };
      const output = "head -c 3000000 /dev/zero | tr '\\0' x";
      expect(await call("run_command", { command: output })).to.include({ exit_code: 0, truncated: true });
      await call("write_file", { path: "kept", content: "kept" });
      const { checkpoint_id } = await call("create_checkpoint", { name: "one" });
      await call("run_command", { command: "rm kept" });
      await call("restore_checkpoint", { checkpoint_id });
      expect(await call("read_file", { path: "kept" })).to.include({ content: "kept" });
      const container = await cluster.containerOf(session_id);
      expect(await proxy.ask("POST", `/containers/${container}/pause`)).to.include({ status: 204 });
      expect(await proxy.ask("POST", `/containers/${container}/unpause`)).to.include({ status: 204 });
      expect(await call("run_command", { command: "echo on" })).to.include({ stdout: "on\n" });
      await call("close_session", {});
      const isGone = async (): Promise<boolean> =>
        (await proxy.ask("GET", `/containers/${container}/json`)).status === 404;
      await eventually("its container is gone", isGone);
    });

    it("has what crashed workers left swept", async () => {
      const before = cluster.stack.workers.at(-1)!;
      const { session_id } = (await client.call("create_session")).structured;
      const container = await cluster.containerOf(session_id);
      before.signal("SIGKILL");
      await before.exited;
      await cluster.stack.addWorker();
      await client.call("close_session", { session_id });
      const isGone = async (): Promise<boolean> =>
        (await proxy.ask("GET", `/containers/${container}/json`)).status === 404;
      await eventually("its container is gone", isGone, 60_000);
    });

    it("was refused nothing that it needs", () => {
      for (const worker of cluster.stack.workers) expect(worker.log).not.to.include(REFUSAL);
    });

    if (transport === "socket") {
      it("could not do more", async () => {
        for (const [method, path] of FORBIDDEN) {
          const { status, text } = await proxy.ask(method, path);
          expect(status, `${method} ${path}: ${text}`).to.be.oneOf([400, 403, 405]);
          if (status === 403) expect(text).to.include(REFUSAL);
        }
        for (const [method, path, expected] of ALLOWED)
          expect((await proxy.ask(method, path)).status, `${method} ${path}`).to.equal(expected);
      });
    }
  });
}
