import { expect } from "chai";
import { parseConfig } from "../../coordinator/config.ts";
import { Coordinator } from "../../coordinator/coordinator.ts";
import { tools } from "../../shared/catalog/index.ts";
import { newCallId, newSessionId, processIdOf } from "../../shared/ids.ts";
import { eventually } from "../support/eventually.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import type { ToolAnswer, ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { silentLog } from "../support/use-redis.ts";
import { send } from "../support/wire.ts";

/** Arguments that every tool needs besides ids. */
const NEEDED: Record<string, Record<string, unknown>> = {
  run_command: { command: "true" },
  read_file: { path: "mine" },
  write_file: { path: "mine", content: "theirs" },
  "fs.read": { path: "mine" },
  "fs.write": { path: "mine", content: "theirs" },
  "run.python": { code: "pass" },
  "pkg.install": { packages: "six" },
  "artifact.get": { artifact_id: "mine" },
};
const IDS = ["session_id", "call_id", "process_id", "task_id"] as const;
type Id = (typeof IDS)[number];

/** Every tool with every id that it takes. */
const TAKERS = tools.flatMap(({ name, input }) =>
  IDS.filter((id) => id in input.shape).map((id) => [name, id] as const),
);
/** These find the session by the other id, or need none, so a session's id beside it says nothing. */
const FOUND_BY_ID = new Set(["get_call", "read_process", "task.get_result", "task.get_status", "echo"]);

describe("Ids of another principal", () => {
  const cluster = useCluster();
  let coordinator: Coordinator;
  let mine: ToolClient;
  let theirs: ToolClient;
  const ids: Record<Id, string> = { session_id: "", call_id: "", process_id: "", task_id: "" };
  before(async () => {
    const config = parseConfig({ REDIS_URL: cluster.stack.redis.url, PORT: "0" });
    coordinator = new Coordinator(config, silentLog, ({ headers }) => headers["x-principal"] as string);
    await coordinator.start();
    const readyz = `${coordinator.url}/readyz`;
    await eventually("the coordinator is ready", async () => (await send(readyz, { method: "GET" })).status === 200);
    const connect = (principal: string): Promise<ToolClient> =>
      PromptKitClient.connect(`${coordinator.url}/mcp?toolset=codegen-mcp`, { "x-principal": principal });
    [mine, theirs] = await Promise.all([connect("me"), connect("them")]);
    const { session_id } = (await mine.call("create_session")).structured;
    await mine.call("write_file", { session_id, path: "mine", content: "mine" });
    const { process_id } = (await mine.call("run_command", { session_id, command: "sleep 600", background: true }))
      .structured;
    const { calls } = (await mine.call("list_calls", { session_id, limit: 1 })).structured as {
      calls: { call_id: string }[];
    };
    const call_id = calls[0]?.call_id;
    Object.assign(ids, { session_id, process_id, call_id, task_id: call_id });
  });
  cluster.beforeStop(async () => {
    await mine.call("close_session", { session_id: ids.session_id });
    await coordinator.stop();
  });

  const unknown = (): Record<Id, string> => {
    const session_id = newSessionId();
    const call_id = newCallId(session_id);
    return { session_id, call_id, process_id: processIdOf(call_id), task_id: call_id };
  };
  /** What the answer says, whatever id it was asked for. */
  const told = ({ isError, structured, text }: ToolAnswer, id: string): unknown =>
    JSON.parse(JSON.stringify({ isError, structured, text }).replaceAll(id, "ID"));

  for (const [tool, id] of TAKERS.filter(([name, taken]) => !(taken === "session_id" && FOUND_BY_ID.has(name)))) {
    it(`are as unknown to ${tool}'s ${id} as ids that nobody has`, async () => {
      const ask = async (from: Record<Id, string>): Promise<unknown> => {
        const process = tool === "kill_process" && id === "session_id" ? { process_id: from.process_id } : {};
        const answer = await theirs.call(tool, { ...NEEDED[tool], ...process, [id]: from[id] });
        expect(answer.isError).to.equal(true);
        return told(answer, from[id]);
      };
      expect(await ask(ids)).to.deep.equal(await ask(unknown()));
    });
  }

  it("are known to their own principal, and nobody else touched what they name", async () => {
    const { structured } = await mine.call("read_file", { session_id: ids.session_id, path: "mine" });
    expect(structured.content).to.equal("mine");
    expect((await mine.call("read_process", { process_id: ids.process_id })).structured.status).to.equal("running");
    expect((await mine.call("get_call", { call_id: ids.call_id })).structured.state).to.equal("done");
  });

  it("are in no list of others", async () => {
    const listed = JSON.stringify((await theirs.call("list_sessions")).structured);
    expect(listed).to.not.include(ids.session_id);
  });

  it("do not open an Mcp-Session-Id either", async () => {
    const { sessionId } = mine as PromptKitClient;
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2025-06-18",
      "mcp-session-id": sessionId,
      "x-principal": "them",
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
    expect((await send(`${coordinator.url}/mcp`, { headers, body })).status).to.equal(404);
    expect((await send(`${coordinator.url}/mcp`, { method: "DELETE", headers })).status).to.equal(404);
    expect(await mine.toolNames()).to.include("run_command");
  });

  it("are refused as malformed no differently", async () => {
    for (const id of ["", "ses_", "x", "ses_../../x", "cg:{x}"]) {
      const answer = await mine.call("run_command", { session_id: id, command: "true" });
      expect(answer.structured.code, id).to.equal("SESSION_NOT_FOUND");
    }
    for (const id of ["", "proc_x", "call_x", ids.session_id]) {
      expect((await mine.call("read_process", { process_id: id })).structured.code, id).to.equal("NOT_FOUND");
      expect((await mine.call("get_call", { call_id: id })).structured.code, id).to.equal("NOT_FOUND");
    }
  });

  it("do not help whoever is nobody: 401", async () => {
    const answer = await send(`${coordinator.url}/mcp`, {
      body: "{}",
      headers: { "content-type": "application/json" },
    });
    expect(answer.status).to.equal(401);
  });
});
