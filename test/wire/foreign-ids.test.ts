import { expect } from "chai";
import { artifactId } from "../../coordinator/artifacts/artifact-links.ts";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import { tools } from "../../shared/catalog/index.ts";
import { newCallId, newCheckpointId, newSessionId, processIdOf } from "../../shared/ids.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { startCoordinator } from "../support/start-coordinator.ts";
import { begin, type ToolAnswer } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useTokens } from "../support/use-tokens.ts";
import { send, type WireAnswer } from "../support/wire.ts";

/** Arguments that a tool needs besides ids. */
const NEEDED: Record<string, Record<string, unknown>> = {
  run_command: { command: "true" },
  run_code: { language: "bash", code: "true" },
  install_packages: { packages: ["six"] },
  read_file: { path: "mine" },
  write_file: { path: "mine", content: "theirs" },
  edit_file: { path: "mine", old_string: "mine", new_string: "theirs" },
  apply_patch: { patch: "*** Begin Patch\n*** Delete File: mine\n*** End Patch" },
  search_files: { pattern: "mine" },
  write_process: { data: "x" },
  get_artifact: { path: "mine" },
  put_artifact: { path: "mine" },
  "fs.read": { path: "mine" },
  "fs.write": { path: "mine", content: "theirs" },
  "run.python": { code: "pass" },
  "pkg.install": { packages: "six" },
  "artifact.get": { artifact_id: "mine" },
};
const IDS = [
  ...["session_id", "call_id", "process_id", "task_id", "checkpoint_id", "from_checkpoint", "artifact_id", "since"],
] as const;
type Ids = Record<string, string>;

/** Every tool with every id that it takes. */
const TAKERS = tools.flatMap(({ name, input }) =>
  IDS.filter((id) => id in input.shape).map((id) => [name, id] as const),
);
/** These find the session by their other id, or need none, so that a session's id beside it says nothing. */
const FOUND_BY_ID = new Set([
  "get_call",
  "read_process",
  "delete_checkpoint",
  "task.get_result",
  "task.get_status",
  "echo",
]);
/** And these need one beside the session's. */
const BESIDE: Record<string, string> = {
  kill_process: "process_id",
  write_process: "process_id",
  restore_checkpoint: "checkpoint_id",
};
const PROTOCOL = "2025-06-18";

describe("Ids of another principal", () => {
  const cluster = useCluster();
  const tokens = useTokens();
  const coordinators: Coordinator[] = [];
  let mine: PromptKitClient;
  let theirs: PromptKitClient;
  const ids: Ids = {};
  const urlOf = (replica: number, path = "/mcp?toolset=codegen-mcp"): string => `${coordinators[replica]?.url}${path}`;
  before(async () => {
    for (const principal of ["me", "them"]) await tokens.add(principal);
    const env = { REDIS_URL: cluster.stack.redis.url, AUTH_TOKENS_FILE: tokens.file };
    for (let i = 0; i < 2; i++) coordinators.push(await startCoordinator(env));
    mine = await PromptKitClient.connect(urlOf(0), tokens.headersOf("me"));
    theirs = await PromptKitClient.connect(urlOf(1), tokens.headersOf("them"));
    const { session_id } = (await mine.call("create_session", { idempotency_key: "the same" })).structured;
    await mine.call("write_file", { session_id, path: "mine", content: "mine" });
    const { process_id } = (await mine.call("run_command", { session_id, command: "sleep 600", background: true }))
      .structured;
    const { checkpoint_id } = (await mine.call("create_checkpoint", { session_id, name: "mine" })).structured;
    const { calls } = (await mine.call("list_calls", { session_id, limit: 1 })).structured as {
      calls: { call_id: string }[];
    };
    Object.assign(ids, idsOf(String(session_id), calls[0]?.call_id ?? "", String(process_id), String(checkpoint_id)));
  });
  cluster.beforeStop(async () => {
    await mine.call("delete_checkpoint", { checkpoint_id: ids.checkpoint_id });
    await mine.call("close_session", { session_id: ids.session_id });
    await Promise.all([mine.close(), theirs.close()]);
    await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
  });

  const idsOf = (session_id: string, call_id: string, process_id: string, checkpoint_id: string): Ids => ({
    ...{ session_id, call_id, process_id, checkpoint_id, task_id: call_id },
    ...{ from_checkpoint: checkpoint_id, since: checkpoint_id, artifact_id: artifactId(session_id, "mine") },
  });
  const unknown = (): Ids => {
    const sid = newSessionId();
    const call = newCallId(sid);
    return idsOf(sid, call, processIdOf(call), newCheckpointId(sid));
  };
  /** What the answer says, whatever ids it was asked for. */
  const told = ({ isError, structured, text }: ToolAnswer, from: Ids): unknown =>
    JSON.parse(
      Object.entries(from).reduce(
        (json, [name, id]) => json.replaceAll(id, name.replace(/task_id|from_checkpoint|since/, "id")),
        JSON.stringify({ isError, structured, text }),
      ),
    );
  const rpc = (replica: number, principal: string, message: object, headers: Record<string, string> = {}) =>
    send(urlOf(replica), {
      headers: {
        ...{ "content-type": "application/json", accept: "application/json, text/event-stream" },
        ...{ "mcp-protocol-version": PROTOCOL, ...tokens.headersOf(principal), ...headers },
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
  const errorIn = ({ text }: WireAnswer): unknown => /"error":\s*(\{.*?\})/.exec(text)?.[1];

  it("are all tried here: the catalog takes no others", () => {
    const names = new Set(
      tools.flatMap(({ input }) => Object.keys(input.shape)).filter((name) => /_id$|checkpoint/.test(name)),
    );
    expect([...IDS]).to.include.members([...names]);
  });

  for (const [tool, id] of TAKERS.filter(([name, taken]) => !(taken === "session_id" && FOUND_BY_ID.has(name)))) {
    it(`are as unknown to ${tool}'s ${id} as ids that nobody has`, async () => {
      const ask = async (from: Ids): Promise<unknown> => {
        const beside = id === "session_id" ? BESIDE[tool] : undefined;
        const needed = { ...NEEDED[tool] };
        if (id === "artifact_id") delete needed.path;
        const answer = await theirs.call(tool, {
          ...needed,
          ...(beside ? { [beside]: from[beside] } : {}),
          [id]: from[id],
        });
        expect(answer.isError, answer.text).to.equal(true);
        return told(answer, from);
      };
      expect(await ask(ids)).to.deep.equal(await ask(unknown()));
    });
  }

  it("are known to their own principal on every replica, and nobody else touched what they name", async () => {
    const elsewhere = await PromptKitClient.connect(urlOf(1), tokens.headersOf("me"));
    for (const client of [mine, elsewhere]) {
      const { session_id, process_id, call_id, checkpoint_id } = ids;
      expect((await client.call("read_file", { session_id, path: "mine" })).structured.content).to.equal("mine");
      expect((await client.call("read_process", { process_id })).structured.status).to.equal("running");
      expect((await client.call("get_call", { call_id })).structured.state).to.equal("done");
      const { checkpoints } = (await client.call("list_checkpoints")).structured;
      expect(JSON.stringify(checkpoints)).to.include(checkpoint_id);
    }
    await elsewhere.close();
  });

  it("are in no list of others", async () => {
    for (const list of ["list_sessions", "list_calls", "list_processes", "list_checkpoints", "list_artifacts"]) {
      const listed = JSON.stringify((await theirs.call(list)).structured);
      for (const id of Object.values(ids)) expect(listed, list).to.not.include(id);
    }
  });

  it("are not what the same idempotency key means to others", async () => {
    const { structured } = await theirs.call("create_session", { idempotency_key: "the same" });
    expect(structured.session_id).to.be.a("string").and.not.equal(ids.session_id);
    await theirs.call("close_session", { session_id: structured.session_id });
  });

  it("do not open an Mcp-Session-Id, on either replica", async () => {
    const stolen = { "mcp-session-id": mine.sessionId };
    const unknownId = { "mcp-session-id": crypto.randomUUID() };
    for (const replica of [0, 1]) {
      for (const message of [
        { id: 1, method: "tools/list", params: {} },
        { method: "notifications/cancelled", params: { requestId: mine.lastId } },
      ]) {
        const answer = await rpc(replica, "them", message, stolen);
        expect(answer.status).to.equal(404);
        expect(answer.text).to.equal((await rpc(replica, "them", message, unknownId)).text);
      }
      const headers = { ...tokens.headersOf("them"), ...stolen, accept: "text/event-stream" };
      expect((await send(urlOf(replica), { method: "DELETE", headers })).status).to.equal(404);
      const resume = { ...headers, "last-event-id": `${ids.call_id}.0-0` };
      expect((await send(urlOf(replica), { method: "GET", headers: resume })).status).to.equal(404);
      const path = `/mcp/message?sessionId=${mine.sessionId}`;
      const json = { ...tokens.headersOf("them"), "content-type": "application/json" };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
      expect((await send(urlOf(replica, path), { headers: json, body })).status).to.equal(404);
    }
    expect(await mine.toolNames()).to.include("run_command");
  });

  it("resume no stream as Last-Event-ID: a call is as unknown as one that nobody made", async () => {
    const headers = { ...tokens.headersOf("them"), "mcp-session-id": theirs.sessionId, accept: "text/event-stream" };
    const resume = (call: unknown): Promise<WireAnswer> =>
      send(urlOf(0), { method: "GET", headers: { ...headers, "last-event-id": `${call}.0-0` } });
    const answer = await resume(ids.call_id);
    expect(answer.status).to.equal(400);
    expect(answer.text).to.equal((await resume(unknown().call_id)).text);
  });

  it("are cancelled by nobody else, whatever request they name", async () => {
    const { session_id } = ids;
    const { answer } = await begin(mine, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const cancel = { method: "notifications/cancelled", params: { requestId: mine.lastId } };
    expect((await rpc(0, "them", cancel, { "mcp-session-id": theirs.sessionId })).status).to.equal(202);
    expect((await mine.call("list_calls", { session_id, limit: 1 })).structured).to.have.nested.property(
      "calls[0].state",
      "running",
    );
    await cluster.exec(session_id, "touch go");
    expect((await answer).structured.status).to.equal("exited");
  });

  it("are no resources to read or to subscribe to", async () => {
    const own = { "mcp-session-id": theirs.sessionId };
    for (const method of ["resources/read", "resources/subscribe"]) {
      const ask = async (sid: string): Promise<unknown> =>
        errorIn(await rpc(1, "them", { id: 1, method, params: { uri: `codegen://${sid}/mine` } }, own));
      const error = await ask(String(ids.session_id));
      expect(error).to.be.a("string");
      const other = newSessionId();
      expect(String(error).replaceAll(String(ids.session_id), "ID")).to.equal(
        String(await ask(other)).replaceAll(other, "ID"),
      );
    }
    const listed = await rpc(1, "them", { id: 1, method: "resources/list", params: {} }, own);
    expect(listed.text).to.include('"resources"').and.not.include(ids.session_id);
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
});
