import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { expect } from "chai";
import { Redis } from "ioredis";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { freePort } from "../../compose/embedded/private-redis.ts";
import { eventually } from "../support/eventually.ts";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp-receiver.ts";
import { connectModern, failureOf } from "../support/tool-client.ts";

const INFO = { name: "codegen-mcp-tests", version: "1" };
const [SERVER, CLIENT, PRODUCER, CONSUMER] = [2, 3, 4, 5];
const CALLS = 30;

interface Sent {
  traceId: string;
  spanId: string;
  traceparent: string;
}
const newTrace = (): Sent => {
  const [traceId, spanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
};
const TRUE = { name: "run_command", arguments: { command: "true" } };

/** How a client sends a call with its trace. */
const CLIENTS: Record<string, (url: URL, sent: Sent) => Promise<unknown>> = {
  "a 2026-era client, in _meta": async (url, { traceparent }) => {
    const client = new Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    await client.connect(new StreamableHTTPClientTransport(url));
    await client.callTool({ ...TRUE, _meta: { traceparent } });
    await client.close();
  },
  "a 2026-era client, in a header": async (url, { traceparent }) => {
    const client = new Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { traceparent } } }));
    await client.callTool(TRUE);
    await client.close();
  },
  "a 2025-era client, in _meta": async (url, { traceparent }) => {
    const client = new V1Client(INFO);
    await client.connect(new V1Transport(url) as Parameters<V1Client["connect"]>[0]);
    await client.callTool({ ...TRUE, _meta: { traceparent } });
    await client.close();
  },
  "a 2025-era client, in a header": async (url, { traceparent }) => {
    const client = new V1Client(INFO);
    const transport = new V1Transport(url, { requestInit: { headers: { traceparent } } });
    await client.connect(transport as Parameters<V1Client["connect"]>[0]);
    await client.callTool(TRUE);
    await client.close();
  },
  "a 2024-era client, in _meta": async (url, { traceparent }) => {
    const client = new V1Client(INFO);
    await client.connect(new SSEClientTransport(new URL("/mcp/sse", url)));
    await client.callTool({ ...TRUE, _meta: { traceparent } });
    await client.close();
  },
  "a 2024-era client, in a header of its message": async (url, { traceparent }) => {
    const client = new V1Client(INFO);
    const requestInit = { headers: { traceparent } };
    await client.connect(new SSEClientTransport(new URL("/mcp/sse", url), { requestInit }));
    await client.callTool(TRUE);
    await client.close();
  },
};

describe("Traces and logs", function () {
  this.timeout(120_000);
  let folder: string;
  let stack: EmbeddedStack;
  let collector: OtlpReceiver;
  /** Takes connections and never says anything. */
  let silent: Server;
  before(async () => {
    collector = await OtlpReceiver.start();
    silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "100", POOL_SIZE: "1" };
    stack = await EmbeddedStack.start({ folder, env });
  });
  after(async () => {
    const codes = await stack?.stop();
    await collector?.stop();
    silent?.close();
    expect(codes).to.satisfy((all: unknown[]) => all.every((code) => code === 0));
    await rm(folder, { recursive: true, force: true });
  });

  const linesOf = async (part: string): Promise<Record<string, unknown>[]> => {
    const text = await readFile(join(folder, `${part}.log`), "utf8");
    return text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const spansOf = (traceId: string): ReceivedSpan[] => collector.spans.filter((span) => span.traceId === traceId);

  for (const [how, call] of Object.entries(CLIENTS)) {
    it(`are one from ${how}, to the sandbox`, async () => {
      const sent = newTrace();
      await call(new URL(stack.url), sent);
      const isThere = (): boolean => spansOf(sent.traceId).some(({ name }) => name === "tools/call run_command");
      await eventually(
        "the spans came",
        () => isThere() && spansOf(sent.traceId).some(({ name }) => name === "run run_command"),
      );
      const find = (name: string) => spansOf(sent.traceId).find((span) => span.name === name)!;
      const [request, run] = [find("tools/call run_command"), find("run run_command")];
      expect(request).to.include({ service: "codegen-mcp-coordinator", kind: SERVER, parentId: sent.spanId });
      const submit = spansOf(sent.traceId).find(({ spanId }) => spanId === run.parentId)!;
      expect(submit).to.include({ name: "submit", kind: PRODUCER, parentId: request.spanId });
      expect(run).to.include({ service: "codegen-mcp-worker", kind: CONSUMER });
      expect(run.attributes["codegen.call"])
        .to.equal(request.attributes["codegen.call"])
        .and.to.match(/^call_/);
      expect(find("sandbox spawn")).to.include({ service: "codegen-mcp-worker", kind: CLIENT, parentId: run.spanId });

      const [answered] = (await linesOf("coordinator-2")).filter(({ trace }) => trace === sent.traceId);
      expect(answered).to.include({ msg: "call answered", principal: "anonymous", tool: "run_command", code: "OK" });
      expect(answered?.session).to.match(/^ses_/);
      expect(answered?.call).to.equal(run.attributes["codegen.call"]);
    });
  }

  it("a client's malformed trace counts as none", async () => {
    const client = new Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    await client.connect(new StreamableHTTPClientTransport(new URL(stack.url)));
    const result = await client.callTool({
      ...TRUE,
      _meta: { traceparent: "00-zz-zz-01", tracestate: "x".repeat(600) },
    });
    expect(result.isError).not.to.equal(true);
    await client.close();
  });

  for (const [what, endpoint] of [
    ["is not there", async () => `http://127.0.0.1:${await freePort()}`],
    ["never answers", async () => `http://127.0.0.1:${(silent.address() as { port: number }).port}`],
  ] as const) {
    it(`a collector that ${what} costs no call anything, and a line a minute in the log`, async () => {
      const startedAt = performance.now();
      const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: await endpoint(), OTEL_EXPORTER_OTLP_TIMEOUT: "500" };
      const coordinator = await stack.addCoordinator(settings);
      const client = await connectModern(stack.urls[stack.coordinators.indexOf(coordinator)]!);
      for (let i = 0; i < CALLS; i++)
        expect(failureOf(await client.call("run_command", { command: "true" })), `call ${i}`).to.equal(undefined);
      const complaints = async () => (await linesOf(coordinator.name)).filter(({ msg }) => msg === "spans were lost");
      await eventually("it says that spans were lost", async () => (await complaints()).length > 0, 60_000);
      await client.call("run_command", { command: "true" });
      await client.close();
      expect(await coordinator.stop(60_000)).to.equal(0);
      const minutes = Math.floor((performance.now() - startedAt) / 60_000);
      expect((await complaints()).length).to.be.within(1, 1 + minutes);
    });
  }

  it("say more from one signal to the next, and as much as before after three", async () => {
    const worker = stack.workers[0]!;
    const client = await connectModern(stack.url);
    const ended = async (): Promise<number> =>
      (await linesOf(worker.name)).filter(({ msg }) => msg === "call ended").length;
    const signal = async (level: string): Promise<void> => {
      const changed = worker.line(new RegExp(`"to":"${level}","msg":"log level changed"`), 20_000);
      worker.signal("SIGUSR2");
      await changed;
    };
    await client.call("run_command", { command: "true" });
    expect(await ended()).to.equal(0);
    await signal("debug");
    await client.call("run_command", { command: "true" });
    await eventually("it tells that the call ended", async () => (await ended()) === 1);
    const [line] = (await linesOf(worker.name)).filter(({ msg }) => msg === "call ended");
    expect(line).to.include({ principal: "anonymous", tool: "run_command", state: "done" });
    expect(line?.trace).to.match(/^[0-9a-f]{32}$/);
    await signal("trace");
    await signal("info");
    await client.call("run_command", { command: "true" });
    expect(await ended()).to.equal(1);
    await client.close();
  });

  it("tell nothing that a client wrote or got, nor a secret, however much they say", async () => {
    const coordinator = await stack.addCoordinator({ LOG_LEVEL: "trace" });
    for (const _ of ["debug", "trace"]) {
      const changed = stack.workers[0]!.line(/"msg":"log level changed"/, 20_000);
      stack.workers[0]!.signal("SIGUSR2");
      await changed;
    }
    const url = new URL(stack.urls[stack.coordinators.indexOf(coordinator)]!);
    const mark = `marker${randomBytes(8).toString("hex")}`;
    const made = `made${mark}`; // stands in output only
    const client = new Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    const requestInit = { headers: { authorization: `Bearer ${mark}`, cookie: mark } };
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
    const call = async (name: string, args: Record<string, unknown>) =>
      await client.callTool({ name, arguments: args, _meta: { baggage: mark } }).catch(() => undefined);
    await call("run_command", { command: `echo made$(cat) # ${mark}`, stdin: mark, env: { SECRET: mark } });
    await call("run_command", { command: `exit 3 # ${mark}`, cwd: `/${mark}`, idempotency_key: mark });
    await call("run_command", { command: `sleep 60 # ${mark}`, timeout_ms: 100 });
    await call("run_code", { language: "python", code: `raise ValueError("${mark}")` });
    await call("write_file", { path: mark, content: mark });
    await call("read_file", { path: `missing-${mark}` });
    await call("edit_file", { path: mark, old_string: `x${mark}`, new_string: mark });
    await call("apply_patch", { patch: `garbage ${mark}` });
    await call("search_files", { pattern: `(${mark}` });
    await call("create_session", { image: mark, env: { SECRET: mark } });
    await call("get_call", { call_id: mark });
    await call(mark, { [mark]: mark });
    await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: `{"${mark}` });
    const redis = new Redis(stack.redis.url);
    const [, limit = "0"] = (await redis.config("GET", "maxmemory")) as string[];
    await redis.config("SET", "maxmemory", "1");
    await call("run_command", { command: mark, env: { SECRET: mark } }); // Redis refuses the script, whose arguments ioredis tells
    await redis.config("SET", "maxmemory", limit);
    redis.disconnect();
    await client.close();
    const secret = new URL(stack.redis.url).password;
    for (const file of (await readdir(folder)).filter((name) => name.endsWith(".log"))) {
      const text = await readFile(join(folder, file), "utf8");
      for (const forbidden of [mark, made, secret]) {
        const at = text.indexOf(forbidden);
        expect(at, `${file}: ${text.slice(Math.max(0, at - 300), at + 50)}`).to.equal(-1);
      }
    }
    expect((await linesOf(coordinator.name)).length).to.be.greaterThan(10);
  });
});
