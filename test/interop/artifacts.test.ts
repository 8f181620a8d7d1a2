import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import { Readable } from "node:stream";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
/** More than one part, and no whole number of them. */
const BYTES = randomBytes(3 * 1024 * 1024 + 17);

describe("Artifacts", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  cluster.withSession((...own) => {
    [client, session_id] = own;
  });
  const urlOf = async (tool: string, path: string): Promise<string> =>
    String((await client.call(tool, { session_id, path })).structured.url);
  const put = async (path: string, body: Uint8Array): Promise<Response> =>
    await fetch(await urlOf("put_artifact", path), { method: "PUT", body: body as Uint8Array<ArrayBuffer> });
  const otherReplica = (url: string): string => {
    const [first = "", second = ""] = cluster.stack.urls.map((one) => new URL(one).origin);
    return url.startsWith(first) ? url.replace(first, second) : url.replace(second, first);
  };

  it("come back as they went in, byte by byte, by URLs that any replica serves", async () => {
    const up = await put("out/big.bin", BYTES);
    expect(up.status).to.equal(201);
    expect(await up.json()).to.include({ path: "out/big.bin", size_bytes: BYTES.length, sha256: sha256(BYTES) });

    const { structured, text } = await client.call("get_artifact", { session_id, path: "out/big.bin" });
    expect(structured).to.include({ path: "out/big.bin", size_bytes: BYTES.length, mime: "application/octet-stream" });
    expect(text).to.include(String(structured.url));
    expect(Date.parse(String(structured.expires_at))).to.be.above(Date.now());
    for (const url of [String(structured.url), otherReplica(String(structured.url))]) {
      const down = await fetch(url);
      expect(down.status).to.equal(200);
      expect(down.headers.get("content-length")).to.equal(String(BYTES.length));
      expect(sha256(new Uint8Array(await down.arrayBuffer()))).to.equal(sha256(BYTES));
    }
  });

  it("are listed with ids that name them alone, and small text comes along", async () => {
    await client.call("write_file", { session_id, path: "reports/a.txt", content: "all well\n" });
    const { structured, text } = await client.call("list_artifacts", { session_id, path: "reports" });
    const [{ artifact_id, path, size_bytes }] = structured.artifacts as Record<string, unknown>[] as [
      Record<string, unknown>,
    ];
    expect({ path, size_bytes }).to.deep.equal({ path: "reports/a.txt", size_bytes: 9 });
    expect(text).to.include(String(artifact_id));
    const got = await client.call("get_artifact", { artifact_id });
    expect(got.structured).to.include({ content: "all well\n", mime: "text/plain", artifact_id });
  });

  it("are given in ranges, and told of without a body", async () => {
    await put("ranges.bin", BYTES.subarray(0, 1000));
    const url = await urlOf("get_artifact", "ranges.bin");
    const part = await fetch(url, { headers: { range: "bytes=10-19" } });
    expect([part.status, part.headers.get("content-range")]).to.deep.equal([206, "bytes 10-19/1000"]);
    expect(Buffer.from(await part.arrayBuffer())).to.deep.equal(BYTES.subarray(10, 20));
    const tail = await fetch(url, { headers: { range: "bytes=-5" } });
    expect(Buffer.from(await tail.arrayBuffer())).to.deep.equal(BYTES.subarray(995, 1000));
    const beyond = await fetch(url, { headers: { range: "bytes=1000-" } });
    expect([beyond.status, beyond.headers.get("content-range")]).to.deep.equal([416, "bytes */1000"]);
    const several = await fetch(url, { headers: { range: "bytes=0-1,5-6" } });
    expect([several.status, (await several.arrayBuffer()).byteLength]).to.deep.equal([200, 1000]);
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).to.deep.equal([200, "1000"]);
  });

  it("may be empty", async () => {
    expect((await put("empty", new Uint8Array(0))).status).to.equal(201);
    const down = await fetch(await urlOf("get_artifact", "empty"));
    expect([down.status, await down.text()]).to.deep.equal([200, ""]);
  });

  it("are refused by a code and a status", async () => {
    const code = async (tool: string, args: Record<string, unknown>): Promise<string | undefined> =>
      failureOf(await client.call(tool, { session_id, ...args }));
    expect(await code("get_artifact", { path: "nothing" })).to.equal("NOT_FOUND");
    expect(await code("get_artifact", { path: "../../etc/passwd" })).to.equal("PATH_OUTSIDE_WORKSPACE");
    expect(await code("put_artifact", { path: "/etc/passwd" })).to.equal("PATH_OUTSIDE_WORKSPACE");
    expect(await code("get_artifact", { path: "reports" })).to.equal("NOT_A_FILE");
    expect(await code("get_artifact", {})).to.equal("INVALID_ARGUMENT");
    expect(await code("get_artifact", { path: "a", artifact_id: "b" })).to.equal("INVALID_ARGUMENT");
    expect(await code("list_artifacts", { path: "nothing" })).to.equal("NOT_FOUND");

    const url = await urlOf("get_artifact", "reports/a.txt");
    const statusOf = async (target: string, init: RequestInit = {}): Promise<number> =>
      (await fetch(target, init)).status;
    expect(await statusOf(url, { method: "PUT", body: "x" }), "a URL to read").to.equal(403);
    expect(await statusOf(`${url}x`), "a forged one").to.equal(403);
    expect(await statusOf(url, { method: "DELETE" })).to.equal(405);
    expect(await statusOf(`${new URL(url).origin}/transfers/guess`)).to.equal(404);
    await client.call("run_command", { session_id, command: "rm reports/a.txt" });
    expect(await statusOf(url), "gone since").to.equal(404);
  });

  it("leave nothing behind when an upload is cut off, and an old file as it was", async () => {
    await client.call("write_file", { session_id, path: "cut/kept", content: "old" });
    const url = new URL(await urlOf("put_artifact", "cut/kept"));
    const upload = request(url, { method: "PUT", headers: { "content-length": BYTES.length } });
    upload.on("error", () => {});
    await new Promise((resolve) => upload.write(BYTES.subarray(0, 2_000_000), resolve));
    upload.destroy();
    const left = async (): Promise<string> =>
      String((await client.call("run_command", { session_id, command: "ls -A cut; cat cut/kept" })).structured.stdout);
    await eventually("only the old file is there", async () => (await left()) === "kept\nold");
  });

  it("are resources too, of one's own session only", async () => {
    const transport = new StreamableHTTPClientTransport(new URL(cluster.url));
    const own = new Client({ name: "codegen-mcp-tests", version: "1" }, { versionNegotiation: { mode: "auto" } });
    await own.connect(transport);
    await own.callTool({ name: "write_file", arguments: { path: "a folder/ä.txt", content: "text\n" } });
    const { resources } = await own.listResources();
    const uri = resources.find(({ name }) => name === "a folder/ä.txt")?.uri ?? "";
    expect(uri).to.match(/^codegen:\/\/ses_\w+\/a%20folder\/%C3%A4\.txt$/);
    expect((await own.readResource({ uri })).contents).to.deep.equal([{ uri, mimeType: "text/plain", text: "text\n" }]);
    await put("pixels", BYTES.subarray(0, 100));
    const bytes = await own.readResource({ uri: `codegen://${session_id}/pixels` });
    expect(bytes.contents[0]).to.include({ blob: BYTES.subarray(0, 100).toString("base64") });
    for (const wrong of [
      `${uri}x`,
      `codegen://${session_id}/../../etc/passwd`,
      "codegen://ses_none/a",
      "file:///etc/passwd",
    ])
      await own.readResource({ uri: wrong }).then(
        () => expect.fail(`${wrong} was read`),
        (error: Error) => expect(error.message).to.match(/NOT_FOUND|PATH_OUTSIDE_WORKSPACE|SESSION_NOT_FOUND/),
      );
    await own.close();
  });

  it("that do not fit on the session's disk are refused, and the session goes on", async () => {
    await client.call("run_command", { session_id, command: "head -c 115M /dev/zero > filler" });
    const size = 32 * 1024 * 1024;
    const zeros = Readable.from(
      (function* () {
        for (let sent = 0; sent < size; sent += 1024 * 1024) yield new Uint8Array(1024 * 1024);
      })(),
    );
    const init = { method: "PUT", body: Readable.toWeb(zeros), duplex: "half" } as unknown as RequestInit;
    const answer = await fetch(await urlOf("put_artifact", "full"), init);
    expect(answer.status).to.equal(507);
    expect(await answer.json()).to.include({ code: "DISK_FULL" });
    const { structured } = await client.call("run_command", { session_id, command: "rm filler; ls -A full; echo on" });
    expect(structured.stdout).to.equal("on\n");
  });
});
