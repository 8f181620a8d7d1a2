import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { expect } from "chai";
import { newCallId, newSessionId } from "../../shared/ids.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { failureOf, toAnswer } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { open, type RpcMessage, send, type WireAnswer } from "../support/wire.ts";

interface Event {
  id: string | undefined;
  retry: number | undefined;
  message: RpcMessage | undefined;
}

/** Numbered lines on both streams, with characters that any chunk may cut. */
const LINES = 400;
const PRINT = `import sys, time
for i in range(${LINES}):
    s = sys.stderr if i % 5 == 0 else sys.stdout
    data = f"{i} größer 🙂\\n".encode()
    for part in (data[:-3], data[-3:]):
        s.buffer.write(part); s.flush()
    time.sleep(0.005)`;
const PRINTED = Array.from({ length: LINES }, (_, i) => `${i} größer 🙂\n`);

describe("A 2025-era stream that breaks", () => {
  const cluster = useCluster();
  let client: PromptKitClient;
  before(async () => {
    client = await PromptKitClient.connect(`${cluster.url}?toolset=codegen-mcp`);
    await client.call("write_file", { path: "print.py", content: PRINT });
  });
  cluster.beforeStop(() => client.close());

  const headers = (protocol = "2025-06-18"): Record<string, string> => ({
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": protocol,
    "mcp-session-id": client.sessionId,
  });
  let lastId = 1_000;
  /** The events of a request's stream, or of a resumed one. Leaving the loop breaks the connection. */
  async function* events(what: Record<string, unknown> | string, protocol?: string): AsyncGenerator<Event> {
    const url = `${cluster.url}?toolset=codegen-mcp`;
    const answer =
      typeof what === "string"
        ? await open(url, { method: "GET", headers: { ...headers(protocol), "last-event-id": what } })
        : await open(url, { headers: headers(protocol), body: JSON.stringify(what) });
    expect(answer.statusCode).to.equal(200);
    let text = "";
    for await (const chunk of answer.setEncoding("utf8")) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: ?(\\S.*)$`, "m").exec(block)?.[1];
        const [id, retry, data] = [field("id"), field("retry"), field("data")];
        if (id === undefined && data === undefined) continue; // a comment
        yield {
          id,
          retry: retry ? Number(retry) : undefined,
          message: data ? (JSON.parse(data) as RpcMessage) : undefined,
        };
      }
    }
  }
  const request = (name: string, args: Record<string, unknown>) => ({
    jsonrpc: "2.0",
    id: ++lastId,
    method: "tools/call",
    params: { name, arguments: args, _meta: { progressToken: `token ${lastId}` } },
  });
  const textOf = ({ message }: Event): string =>
    message?.method === "notifications/progress" ? String(message.params?.message ?? "") : "";

  /** Reads to the answer, and breaks the connection after every `cutEvery` messages. */
  const readWithCuts = async (first: Record<string, unknown>, cutEvery: number) => {
    const progress: number[] = [];
    let text = "";
    let seen: string | undefined;
    let cuts = 0;
    for (;;) {
      let count = 0;
      for await (const event of events(seen ?? first)) {
        seen = event.id ?? seen;
        text += textOf(event);
        if (event.message?.params) progress.push(Number(event.message.params.progress));
        if (event.message?.id !== undefined) return { text, progress, cuts, answer: event.message, seen };
        if (++count === cutEvery) break;
      }
      cuts++;
    }
  };

  it("goes on where it was, on whichever replica, as often as it breaks: no gap, no duplicate, in order", async () => {
    const sent = request("run_command", { command: "python3 print.py", wait_ms: 50_000 });
    const { text, progress, cuts, answer, seen } = await readWithCuts(sent, 2);
    expect(cuts).to.be.greaterThan(3);
    expect(text).to.not.include("�");
    // the two streams of a process keep their own order; which of them was first is not told
    const lines = (rest: number) => PRINTED.filter((_, i) => (i % 5 === 0) === (rest === 0)).join("");
    expect(progress).to.deep.equal([...progress].sort((a, b) => a - b));
    expect(new Set(progress).size).to.equal(progress.length);
    expect(answer.id).to.equal(sent.id);
    expect(answer.result?.structuredContent).to.include({ status: "exited", stdout: lines(1), stderr: lines(0) });
    expect(text.length).to.equal(PRINTED.join("").length);
    expect(text.match(/🙂/g)).to.have.length(LINES);
    const numbers = [...text.matchAll(/(\d+) gr/g)].map(([, number]) => Number(number));
    for (const isError of [true, false]) {
      const told = numbers.filter((number) => (number % 5 === 0) === isError);
      expect(told).to.deep.equal([...Array(LINES).keys()].filter((i) => (i % 5 === 0) === isError));
    }
    const rest: Event[] = [];
    for await (const event of events(seen ?? "")) rest.push(event);
    expect(rest, "nothing is left behind the answer").to.deep.equal([]);
  });

  it("is behind by as much as came meanwhile, however much that is", async () => {
    const command = "for i in $(seq 0 19); do seq -f '%g größer' $((i*1000)) $((i*1000+999)); sleep 0.05; done";
    const sent = request("run_command", { command });
    const { text } = await readWithCuts(sent, 1);
    const expected = Array.from({ length: 20_000 }, (_, i) => `${i} größer\n`).join("");
    expect(text === expected, `${text.length} characters came, ${expected.length} were written`).to.equal(true);
  });

  it("can be resumed by a client that saw nothing but its first event", async () => {
    const sent = request("run_command", { command: "echo out; sleep 1; echo more" });
    let priming: Event | undefined;
    for await (const event of events(sent, "2025-11-25")) {
      priming = event;
      break;
    }
    expect(priming?.message).to.equal(undefined);
    expect(priming?.retry).to.be.a("number");
    let text = "";
    let answer: RpcMessage | undefined;
    for await (const event of events(priming?.id ?? "")) {
      text += textOf(event);
      answer = event.message;
    }
    expect(text).to.equal("out\nmore\n");
    expect(answer).to.have.nested.property("result.structuredContent.stdout", "out\nmore\n");
  });

  it("answers in the words of the tool that was called, and as late as it would have", async () => {
    await client.call("run_command", { command: "rm -f go" });
    const sent = request("run.python", { code: "print(6 * 7, flush=True)\nimport time; time.sleep(1)" });
    const { answer, cuts } = await readWithCuts(sent, 1);
    expect(cuts).to.be.greaterThan(0);
    expect(toAnswer(answer.result ?? {}).text).to.equal("Exit Code: 0\n\nStdout:\n42\n");

    const soft = request("run_command", { command: UNTIL_GO, wait_ms: 500 });
    const late = await readWithCuts(soft, 1);
    const { structured } = toAnswer(late.answer.result ?? {});
    expect(structured).to.include({ status: "running" });
    await client.call("write_file", { path: "go", content: "" });
    await client.call("get_call", { call_id: structured.call_id, wait_ms: 20_000 });
  });

  it("tells a failure as the tool would have", async () => {
    const sent = request("run_command", { command: "echo started; sleep 60", wait_ms: 50_000 });
    let seen = "";
    for await (const { id } of events(sent)) {
      seen = id ?? seen;
      break;
    }
    const resumed = events(seen);
    const next = resumed.next();
    await client.notify("notifications/cancelled", { requestId: sent.id });
    const { value } = await next;
    expect(failureOf(toAnswer((value as Event).message?.result ?? {}))).to.equal("CANCELLED");
  });

  it("is nobody else's, and nothing that was never there can be resumed", async () => {
    const sent = request("run_command", { command: "echo mine" });
    const { seen = "" } = await readWithCuts(sent, 100);
    const other = await PromptKitClient.connect(cluster.url);
    const get = (id: string, mcpSession: string): Promise<WireAnswer> =>
      send(cluster.url, {
        method: "GET",
        headers: { ...headers(), "mcp-session-id": mcpSession, "last-event-id": id },
      });
    expect((await get(seen, other.sessionId)).status).to.equal(400);
    expect((await get(seen.replace(".end", ".0-0"), other.sessionId)).status).to.equal(400);
    const unknown = `${newCallId(newSessionId())}.1-1`;
    for (const id of [unknown, "1", "request.", `${seen}x`, seen.replace(".end", ".1-x")]) {
      expect((await get(id, client.sessionId)).status, id).to.equal(400);
    }
    expect((await get(seen, "nobody")).status).to.equal(404);
    await other.close();
  });

  it("does not trouble the v1 SDK's client", async () => {
    let cuts = 0;
    /** Breaks the first answer that streams, in the middle of it. */
    const breaking = async (url: string | URL, init?: RequestInit): Promise<Response> => {
      const response = await fetch(url, init);
      const isCall = init?.method === "POST" && String(init.body).includes('"tools/call"');
      if (!response.body || !isCall || cuts > 0) return response;
      cuts++;
      const reader = response.body.getReader();
      let chunks = 0;
      const body = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          const { value } = await reader.read();
          if (value && chunks++ < 3) return controller.enqueue(value);
          await reader.cancel();
          controller.error(new Error("cut"));
        },
      });
      return new Response(body, { status: response.status, headers: response.headers });
    };
    const sdk = new Client({ name: "tests", version: "1" });
    const transport = new StreamableHTTPClientTransport(new URL(cluster.url), { fetch: breaking });
    await sdk.connect(transport as Parameters<Client["connect"]>[0]);
    let text = "";
    const command = "for i in $(seq 1 20); do echo line $i; sleep 0.1; done";
    const result = await sdk.callTool({ name: "run_command", arguments: { command } }, undefined, {
      onprogress: ({ message }) => {
        text += message ?? "";
      },
    });
    const expected = Array.from({ length: 20 }, (_, i) => `line ${i + 1}\n`).join("");
    expect(cuts).to.equal(1);
    expect(result.structuredContent).to.include({ stdout: expected });
    expect(text).to.equal(expected);
    await transport.terminateSession();
    await sdk.close();
  });
});
