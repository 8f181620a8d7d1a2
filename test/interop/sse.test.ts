import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import { eventually } from "../support/eventually.ts";
import { PromptKitSseClient } from "../support/sse-client.ts";
import { startCoordinator } from "../support/start-coordinator.ts";
import { begin, failureOf } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useTokens } from "../support/use-tokens.ts";
import { send } from "../support/wire.ts";

const LIST = { jsonrpc: "2.0", id: 77, method: "tools/list", params: {} };

describe("HTTP+SSE of 2024-11-05", () => {
  const cluster = useCluster();
  let client: PromptKitSseClient;
  let here: string;
  let there: string;
  before(async () => {
    [here = "", there = ""] = cluster.stack.urls.map((url) => new URL("/mcp", url).href);
    client = await PromptKitSseClient.connect(here, there);
  });
  cluster.beforeStop(() => client.close());

  it("takes a stream's messages on the other replica, and answers in the stream", async () => {
    expect(new URL(client.messageUrl).origin).to.equal(new URL(there).origin);
    const texts: string[] = [];
    const answer = await client.call(
      "run_command",
      { command: "echo seen; sleep 0.5" },
      { onText: (t) => texts.push(t) },
    );
    expect(answer.structured).to.include({ status: "exited", stdout: "seen\n" });
    expect(texts.join("")).to.include("seen");
  });

  it("gives each stream a workspace of its own, whatever it calls at once", async () => {
    const other = await PromptKitSseClient.connect(there, here);
    await Promise.all(["a", "b", "c"].map((path) => client.call("write_file", { path, content: "mine" })));
    expect((await client.call("list_files")).structured.entries).to.have.length(3);
    expect(failureOf(await other.call("read_file", { path: "a" }))).to.equal("NOT_FOUND");
    await other.close();
  });

  it("keeps the order in which the messages came", async () => {
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    for (const i of numbers) {
      const params = { name: "run_command", arguments: { command: `echo ${i} >> order` } };
      expect((await client.post({ jsonrpc: "2.0", id: `o${i}`, method: "tools/call", params })).status).to.equal(202);
    }
    const { structured } = await client.call("read_file", { path: "order" });
    expect(structured.content).to.equal(numbers.map((i) => `${i}\n`).join(""));
  });

  it("lets a cancel reach the call through either replica", async () => {
    const { answer } = await begin(client, "run_command", { command: "echo started; sleep 60", wait_ms: 50_000 });
    const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: client.lastId } };
    expect((await client.post(cancel)).status).to.equal(202);
    expect(failureOf(await answer)).to.equal("CANCELLED");
  });

  it("refuses messages that belong to no stream, and what is no message", async () => {
    const elsewhere = client.messageUrl.replace(/sessionId=[^&]+/, `sessionId=${randomUUID()}`);
    expect((await client.post(LIST, elsewhere)).status).to.equal(404);
    expect((await client.post("{")).status).to.equal(400);
    expect((await client.post({ hello: "world" })).status).to.equal(400);
    expect((await client.post(" ".repeat(4 * 1024 * 1024 + 1))).status).to.equal(413);
    const text = await send(client.messageUrl, { headers: { "content-type": "text/plain" }, body: "{}" });
    expect(text.status).to.equal(415);
    expect((await send(client.messageUrl, { method: "GET" })).status).to.equal(405);
    expect((await send(`${here}/sse?toolset=none`, { method: "GET" })).status).to.equal(400);
    const origin = { origin: "https://evil.example" };
    expect((await send(`${here}/sse`, { method: "GET", headers: origin })).status).to.equal(403);
  });

  it("forgets a stream once its client went away", async () => {
    const gone = await PromptKitSseClient.connect(here, there);
    await gone.close();
    await eventually("its messages are refused", async () => (await gone.post(LIST)).status === 404);
  });

  it("offers what the stream's URL asked for", async () => {
    const asking = await PromptKitSseClient.connect(`${here}?toolset=core,codegen-mcp`, there);
    expect(await asking.toolNames())
      .to.include("fs.read")
      .and.not.include("get_call");
    expect((await asking.call("echo", { message: "hello" })).text).to.equal("hello");
    await asking.close();
  });

  describe("of a replica of its own", () => {
    let coordinator: Coordinator;
    let url: string;
    const tokens = useTokens();
    before(async () => {
      for (const principal of ["anonymous", "them"]) await tokens.add(principal); // the other replicas know the former only
      coordinator = await startCoordinator({ REDIS_URL: cluster.stack.redis.url, AUTH_TOKENS_FILE: tokens.file });
      url = `${coordinator.url}/mcp`;
    });

    it("takes no messages of another principal, here or elsewhere", async () => {
      const theirs = await PromptKitSseClient.connect(url, url, tokens.headersOf("them"));
      const path = theirs.messageUrl.slice(new URL(url).origin.length);
      const body = JSON.stringify(LIST);
      for (const origin of [url, there]) {
        const headers = { "content-type": "application/json", ...tokens.headersOf("anonymous") };
        expect((await send(new URL(path, origin).href, { headers, body })).status).to.equal(404);
      }
      await theirs.close();
    });

    it("ends idle streams at once when it stops, and others after what is under way", async function () {
      this.timeout(40_000); // less than a stop waits for streams that do not end
      const [idle, busy] = await Promise.all(
        [1, 2].map(() => PromptKitSseClient.connect(url, there, tokens.headersOf("anonymous"))),
      );
      if (!idle || !busy) return;
      const { answer } = await begin(busy, "run_command", { command: "echo started; sleep 1; echo done" });
      const stopped = coordinator.stop();
      await idle.ended;
      expect((await answer).structured.stdout).to.equal("started\ndone\n");
      await busy.ended;
      await stopped;
    });
  });
});
