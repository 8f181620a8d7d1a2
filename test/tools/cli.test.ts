import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { expect } from "chai";
import { demoSession } from "../interop/demo-session.ts";
import { oneAtATime } from "../support/one-at-a-time.ts";
import { RoundRobinProxy } from "../support/round-robin-proxy.ts";
import { type CallOptions, type ToolClient, toAnswer } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import type { RpcMessage } from "../support/wire.ts";

const CLI = fileURLToPath(new URL("../../scripts/cli/main.js", import.meta.url));
const INFO = { name: "codegen-mcp-tests", version: "1" };

describe("The codegen-mcp command", () => {
  const cluster = useCluster();
  const run = (...args: string[]): ChildProcessWithoutNullStreams => spawn(process.execPath, [CLI, ...args]);
  const ended = async (child: ChildProcessWithoutNullStreams, input = "") => {
    const read = async (stream: AsyncIterable<Buffer>): Promise<string> => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    child.stdin.end(input);
    const exited = once(child, "exit");
    const [stdout, stderr] = await Promise.all([read(child.stdout), read(child.stderr)]);
    const [code] = (await exited) as [number | null];
    return { stdout, stderr, code };
  };
  const lines = (...messages: object[]): string => messages.map((message) => `${JSON.stringify(message)}\n`).join("");
  const initialize = {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: INFO },
  };

  describe("stdio", () => {
    const options = ({ onText, signal }: CallOptions) => ({
      timeout: 120_000,
      ...(signal ? { signal } : {}),
      onprogress: ({ message }: { message?: string | undefined }) => message && onText?.(message),
    });
    const started = () => ({ command: process.execPath, args: [CLI, "stdio", "--url", cluster.url] });

    it("bridges the v1 SDK's client", async () => {
      const client = new V1Client(INFO);
      const transport = new V1Transport(started());
      await client.connect(transport);
      oneAtATime(transport);
      cluster.beforeStop(() => client.close());
      const bridged: ToolClient = {
        protocol: "2025-11-25",
        cancelsByAbort: true,
        toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
        call: async (name, args = {}, given = {}) =>
          toAnswer((await client.callTool({ name, arguments: args }, undefined, options(given))) as never),
        close: () => client.close(),
      };
      await demoSession(bridged);
    });

    it("bridges the 2.x client in the 2026 era", async () => {
      const client = new Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
      const transport = new StdioClientTransport(started());
      await client.connect(transport);
      oneAtATime(transport);
      cluster.beforeStop(() => client.close());
      const bridged: ToolClient = {
        protocol: client.getNegotiatedProtocolVersion() ?? "",
        cancelsByAbort: true,
        toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
        call: async (name, args = {}, given = {}) =>
          toAnswer(await client.callTool({ name, arguments: args }, options(given))),
        close: () => client.close(),
      };
      expect(bridged.protocol).to.equal("2026-07-28");
      await demoSession(bridged);
    });

    it("ends at the end of its input, after the answers to what it had read", async () => {
      const command = { name: "run_command", arguments: { command: "sleep 1; echo done" } };
      const input = lines(
        initialize,
        { jsonrpc: "2.0", method: "notifications/initialized" },
        { jsonrpc: "2.0", id: "call", method: "tools/call", params: command },
      );
      const { stdout, code } = await ended(run("stdio", "--url", cluster.url), `${input}no JSON\n`);
      const answers = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as RpcMessage);
      expect(code).to.equal(0);
      expect(answers.find(({ id }) => id === "call")).to.have.nested.property(
        "result.structuredContent.stdout",
        "done\n",
      );
      expect(answers.find(({ error }) => error)).to.have.nested.property("error.code", -32_700);
    });

    it("goes on with a stream that breaks, without a gap", async () => {
      const proxy = await RoundRobinProxy.start(cluster.stack.urls);
      const child = run("stdio", "--url", proxy.url);
      const command = "for i in $(seq 1 20); do echo line $i; sleep 0.1; done";
      const params = { name: "run_command", arguments: { command }, _meta: { progressToken: 1 } };
      child.stdin.write(lines(initialize, { jsonrpc: "2.0", id: "call", method: "tools/call", params }));
      let told = "";
      for await (const line of createInterface(child.stdout)) {
        const { id, method, params: news, result } = JSON.parse(line) as RpcMessage;
        if (method === "notifications/progress") told += String(news?.message);
        if (told === "line 1\n") proxy.cut();
        if (id === "call") expect(result).to.have.nested.property("structuredContent.stdout", told);
        if (id === "call") break;
      }
      expect(told).to.equal(Array.from({ length: 20 }, (_, i) => `line ${i + 1}\n`).join(""));
      expect((await ended(child)).code).to.equal(0);
      await proxy.stop();
    });

    it("answers what it cannot send", async () => {
      const proxy = await RoundRobinProxy.start([]);
      const { url } = proxy;
      await proxy.stop(); // nobody listens there any more
      const { stdout, code } = await ended(run("stdio", "--url", url), lines(initialize));
      expect(code).to.equal(0);
      expect(JSON.parse(stdout)).to.have.nested.property("error.message").that.includes("ECONNREFUSED");
    });
  });

  describe("call", () => {
    const call = (...args: string[]) => ended(run("call", "--url", cluster.url, ...args));

    it("prints what a tool says, with its progress beside it", async () => {
      const { stdout, stderr, code } = await call("run_command", "command=echo a=b", "timeout_ms=5000");
      expect(stdout).to.match(/^exit code 0.*\n--- stdout ---\na=b\n/);
      expect(stderr).to.equal("a=b\n");
      expect(code).to.equal(0);
    });

    it("works in the same session each time", async () => {
      await call("write_file", "path=cli.txt", "content=kept");
      expect((await call("read_file", "path=cli.txt")).stdout).to.equal("kept\n");
      const { stdout } = await call("--json", "read_file", "path=cli.txt");
      expect(JSON.parse(stdout)).to.include({ content: "kept", size_bytes: 4 });
    });

    it("ends with 1 when the tool failed, with 2 when it cannot be called so", async () => {
      const failed = await call("read_file", "path=absent");
      expect(failed.stdout).to.match(/^NOT_FOUND: /);
      expect(failed.code).to.equal(1);
      for (const args of [
        ["no_tool"],
        ["read_file", "paht=x"],
        ["read_file", "path"],
        ["run_command", "wait_ms=soon"],
        [],
      ]) {
        const { code, stderr } = await call(...args);
        expect(code, args.join(" ")).to.equal(2);
        expect(stderr).to.match(/no tool|no argument|must be integer|codegen-mcp call TOOL/);
      }
    });
  });
});
