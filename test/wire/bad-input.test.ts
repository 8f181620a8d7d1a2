import { randomBytes } from "node:crypto";
import { expect } from "chai";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { send, type WireAnswer, type WireOptions } from "../support/wire.ts";

const MAX_BODY_BYTES = 16 * 1024 * 1024;
const PROTOCOLS = ["2025-06-18", "2026-07-28"];

describe("Requests that are no good", () => {
  const cluster = useCluster();
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());

  /** A refusal that a JSON-RPC client can read, and a server that goes on working. */
  const expectRefused = async (answer: WireAnswer, status: number, code?: number): Promise<void> => {
    expect(answer.status).to.equal(status);
    expect(answer.headers["content-type"]).to.match(/^application\/json/);
    expect(answer.json).to.have.nested.property("error.message");
    if (code !== undefined) expect(answer.json).to.have.nested.property("error.code", code);
    expect(await client.toolNames()).to.include("run_command");
  };

  for (const protocol of PROTOCOLS) {
    describe(`of protocol ${protocol}`, () => {
      const post = (options: WireOptions): Promise<WireAnswer> => {
        const headers = {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          "mcp-protocol-version": protocol,
          ...options.headers,
        };
        return send(cluster.stack.url, { ...options, headers });
      };

      it("are told so when the body is not JSON", async () => {
        await expectRefused(await post({ body: '{"jsonrpc": "2.0", oops' }), 400, -32_700);
        await expectRefused(await post({ body: "" }), 400, -32_700);
        await expectRefused(await post({ body: randomBytes(100) }), 400, -32_700);
      });

      it("are told so when the JSON is no JSON-RPC request", async () => {
        for (const body of ["42", "null", "[]", '"text"', "{}", '{"jsonrpc":"1.0","id":1,"method":"tools/list"}']) {
          await expectRefused(await post({ body }), 400);
        }
      });

      it("are refused when the body is above the limit, whether its length is told or not", async () => {
        const body = JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/list",
          params: { x: "x".repeat(2 * MAX_BODY_BYTES) },
        });
        await expectRefused(await post({ body }), 413);
        await expectRefused(await post({ body, headers: { "transfer-encoding": "chunked" } }), 413);
      });

      it("are refused when the content type is not JSON", async () => {
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
        await expectRefused(await post({ body, headers: { "content-type": "text/plain" } }), 415);
        await expectRefused(await post({ body, headers: { "content-type": "application/jsonp" } }), 415);
      });

      it("are told so when they call this host by what is no name", async () => {
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
        for (const host of ["localhost/path", "user:word@localhost", "localhost?query"]) {
          await expectRefused(await post({ body, headers: { host } }), 400, -32_600);
        }
      });

      it("are refused when they name another host, or come from a page of another origin", async () => {
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
        await expectRefused(await post({ body, headers: { host: "evil.example" } }), 403);
        await expectRefused(await post({ body, headers: { origin: "http://evil.example" } }), 403);
        await expectRefused(await post({ body, headers: { origin: "null" } }), 403);
      });
    });
  }

  it("are refused by the verbs that a 2025-era client may try", async () => {
    const answer = await send(cluster.stack.url, { method: "GET", headers: { accept: "text/event-stream" } });
    await expectRefused(answer, 405);
    await expectRefused(await send(cluster.stack.url, { method: "PUT" }), 405);
  });

  for (const connect of [connectModern, (url: string) => PromptKitClient.connect(url)]) {
    it(`name an unknown tool, and are told which (${connect === connectModern ? "2026" : "2025"} era)`, async () => {
      const caller = await connect(cluster.url);
      const error = await caller.call("no_such_tool").then(
        () => undefined,
        (reason: Error) => reason,
      );
      expect(error?.message).to.include("no_such_tool");
      await caller.close();
    });
  }
});

const CALLS: [what: string, tool: string, args: Record<string, unknown>, named: string][] = [
  ["lack an argument", "run_command", {}, "command"],
  ["lack an argument of a control", "kill_process", {}, "process_id"],
  ["lack an argument of a record tool", "get_call", {}, "call_id"],
  ["have an argument of another type", "run_command", { command: 42 }, "command"],
  ["have null for an argument", "run_command", { command: "true", cwd: null }, "cwd"],
  ["have a number out of its range", "run_command", { command: "true", wait_ms: 50_001 }, "wait_ms"],
  ["have a fraction for a whole number", "run_command", { command: "true", wait_ms: 1.5 }, "wait_ms"],
  ["have a value that is none of the choices", "kill_process", { process_id: "proc_x", signal: "SIGNOPE" }, "signal"],
  ["have a surplus argument", "run_command", { command: "true", comand: "x" }, "comand"],
  ["have a variable's name that is none", "run_command", { command: "true", env: { "A B": "x" } }, "env"],
  ["have a NUL in a command", "run_command", { command: "echo a\0b" }, "command"],
  ["have a NUL in a path to read", "read_file", { path: "a\0b" }, "path"],
  ["have a NUL in a path to write", "write_file", { path: "a\0b", content: "" }, "path"],
  ["have a NUL in a folder's path", "list_files", { path: "a\0b" }, "path"],
  ["have an empty path", "read_file", { path: "" }, "path"],
  ["have permissions that are no octal", "write_file", { path: "f", content: "", mode: "rwx" }, "mode"],
  ["have content that is not base64", "write_file", { path: "f", content: "!", encoding: "base64" }, "content"],
  [
    "have a key that is too long",
    "run_command",
    { command: "true", idempotency_key: "k".repeat(129) },
    "idempotency_key",
  ],
  ["have a cursor that nobody gave them", "read_process", { cursor: "nonsense" }, "cursor"],
  ["have an expression that is none", "read_process", { grep: "(" }, "grep"],
];

describe("Tool arguments that are no good", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  let process_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
    session_id = (await client.call("create_session")).structured.session_id;
    ({ process_id } = (await client.call("run_command", { session_id, command: "echo kept > kept" })).structured);
  });
  cluster.beforeStop(() => client.close());
  afterEach("the session goes on as if nothing was", async () => {
    const { structured } = await client.call("run_command", { session_id, command: "cat kept" });
    expect(structured).to.include({ exit_code: 0, stdout: "kept\n" });
  });

  it("are refused, and nothing else, where no text can be made of them", async () => {
    const hostile = { toString: 1, valueOf: null, a: [{ toString: [] }], ab: { toString: {} }, toJSON: 1 };
    for (const tool of ["get_session", "run_command", "create_session"]) {
      const answer = await client.call(tool, { hostile, toString: 1, other: hostile });
      expect(failureOf(answer), answer.text).to.equal("INVALID_ARGUMENT");
    }
  });

  for (const [what, tool, args, named] of CALLS) {
    it(`are named in the refusal when they ${what}`, async () => {
      const process = tool === "read_process" ? { process_id } : {};
      const answer = await client.call(tool, { session_id, ...process, ...args });
      expect(failureOf(answer), answer.text).to.equal("INVALID_ARGUMENT");
      expect(answer.structured.message).to.include(named);
      expect(answer.structured).to.include({ retryable: false });
      expect(answer.text).to.include("INVALID_ARGUMENT");
    });
  }

  it("are refused when there are any where the object should be", async () => {
    const raw = await PromptKitClient.connect(cluster.url);
    for (const args of [[], "text", 42]) {
      const error = await raw.call("list_sessions", args as never).then(
        ({ isError }) => (isError ? "refused" : undefined),
        () => "refused",
      );
      expect(error).to.equal("refused");
    }
    await raw.close();
  });

  it("are refused when a path leaves the workspace", async () => {
    await client.call("run_command", {
      session_id,
      command: "ln -s /etc etc; ln -s /etc/hostname out; ln -s ../.. up",
    });
    const { workdir } = (await client.call("get_session", { session_id })).structured;
    const paths = [
      "../x",
      "a/../../x",
      "/etc/hostname",
      `${workdir}/../x`,
      `${workdir}x/y`,
      "etc/hostname",
      "out",
      "up/dev",
    ];
    for (const path of paths) {
      const calls = [
        await client.call("read_file", { session_id, path }),
        await client.call("write_file", { session_id, path, content: "x" }),
      ];
      for (const answer of calls)
        expect(failureOf(answer), `${path}: ${answer.text}`).to.equal("PATH_OUTSIDE_WORKSPACE");
    }
    for (const path of ["..", "/", "/etc", "etc", "up"]) {
      const answer = await client.call("list_files", { session_id, path });
      expect(failureOf(answer), `${path}: ${answer.text}`).to.equal("PATH_OUTSIDE_WORKSPACE");
    }
    const untouched = await client.call("run_command", {
      session_id,
      command: "ls -d ../x /etc/x 2>/dev/null; cat /etc/hostname",
    });
    expect(untouched.structured.stdout).to.not.include("x\n/").and.to.not.equal("x");
  });

  it("may name the workspace by its absolute path", async () => {
    const { workdir } = (await client.call("get_session", { session_id })).structured;
    const answer = await client.call("read_file", { session_id, path: `${workdir}/kept` });
    expect(answer.structured.content).to.equal("kept\n");
  });

  it("are told when there is no such file, or it is a folder", async () => {
    expect(failureOf(await client.call("read_file", { session_id, path: "absent" }))).to.equal("NOT_FOUND");
    expect(failureOf(await client.call("read_file", { session_id, path: "." }))).to.equal("NOT_A_FILE");
    expect(failureOf(await client.call("list_files", { session_id, path: "kept" }))).to.equal("NOT_A_DIRECTORY");
    expect(failureOf(await client.call("list_files", { session_id, path: "absent" }))).to.equal("NOT_FOUND");
  });
});
