import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { begin, failureOf } from "../support/tool-client.ts";
import { containersOf, useCluster } from "../support/use-cluster.ts";
import { send } from "../support/wire.ts";

const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2025-06-18",
};
const LIST = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });

describe("Mcp-Session-Id of 2025-era clients", () => {
  const cluster = useCluster();
  const connect = (): Promise<PromptKitClient> => PromptKitClient.connect(cluster.url);
  const sessionOf = async (client: PromptKitClient): Promise<unknown> =>
    (await client.call("get_session")).structured.session_id;

  it("is refused with 404 when nobody knows it, so that the client begins anew", async () => {
    const answer = await send(cluster.url, { headers: { ...HEADERS, "mcp-session-id": randomUUID() }, body: LIST });
    expect(answer.status).to.equal(404);
    expect(answer.json).to.have.nested.property("error.message");
  });

  it("is asked for with 400 when a request lacks it", async () => {
    const answer = await send(cluster.url, { headers: HEADERS, body: LIST });
    expect(answer.status).to.equal(400);
    expect(answer.json).to.have.nested.property("error.message");
  });

  it("names one workspace, whichever replica is asked and even when both are at once", async () => {
    const client = await connect();
    await Promise.all(
      ["one", "two", "three", "four"].map((name) => client.call("write_file", { path: name, content: name })),
    );
    const { structured } = await client.call("list_files");
    const entries = structured.entries as { path: string }[];
    expect(entries.map(({ path }) => path)).to.have.members(["one", "two", "three", "four"]);
    await client.close();
  });

  it("shares its workspace with no other", async () => {
    const [first, second] = await Promise.all([connect(), connect()]);
    await first.call("write_file", { path: "mine", content: "" });
    expect(failureOf(await second.call("read_file", { path: "mine" }))).to.equal("NOT_FOUND");
    expect(await sessionOf(first)).to.not.equal(await sessionOf(second));
    await Promise.all([first.close(), second.close()]);
  });

  it("ends with DELETE, and the workspace bound to it with its container", async () => {
    const [client, other] = await Promise.all([connect(), connect()]);
    await client.call("write_file", { path: "mine", content: "" });
    const session_id = await sessionOf(client);
    const container = await cluster.containerOf(session_id);
    expect(await containersOf(cluster.stack.deployment)).to.include(container);

    expect((await client.delete()).status).to.equal(200);
    expect((await client.delete()).status).to.equal(404);
    const isGone = async (): Promise<boolean> =>
      failureOf(await other.call("get_session", { session_id })) === "SESSION_NOT_FOUND";
    await eventually("the workspace is gone", isGone);
    expect(await containersOf(cluster.stack.deployment)).to.not.include(container);
    await other.close();
  });

  it("lets a cancel reach the call through the other replica", async () => {
    const [here, there] = cluster.stack.urls;
    const client = await PromptKitClient.connect(here ?? "");
    const { answer } = await begin(client, "run_command", { command: "echo started; sleep 60", wait_ms: 50_000 });
    const requestId = client.lastId;
    const accepted = await client.notify("notifications/cancelled", { requestId, reason: "no longer wanted" }, there);
    expect(accepted.status).to.equal(202);
    expect(failureOf(await answer)).to.equal("CANCELLED");
    const { structured } = await client.call("list_processes");
    expect(structured.processes).to.have.nested.property("[0].status", "killed");
    await client.close();
  });

  it("lets nobody cancel the calls of another one", async () => {
    const [client, other] = await Promise.all([connect(), connect()]);
    const { answer } = await begin(client, "run_command", { command: "echo started; sleep 60", wait_ms: 50_000 });
    await other.notify("notifications/cancelled", { requestId: client.lastId });
    const { structured } = await client.call("list_processes");
    expect(structured.processes).to.have.nested.property("[0].status", "running");
    const [{ process_id }] = structured.processes as [{ process_id: string }];
    await client.call("kill_process", { process_id });
    expect((await answer).structured.status).to.equal("killed");
    await Promise.all([client.close(), other.close()]);
  });
});
