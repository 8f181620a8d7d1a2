import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { expect } from "chai";
import { MAX_FILE_BYTES, OUTPUT_BYTES } from "../../shared/catalog/index.ts";
import { failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const MB = 1_000_000;
const run = promisify(execFile);

/** Resident memory in bytes. */
const memoryOf = async (pid: number | undefined): Promise<number> =>
  Number((await run("ps", ["-o", "rss=", "-p", String(pid)])).stdout) * 1024;

describe("What is large or no text", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  cluster.withSession((...own) => {
    [client, session_id] = own;
  });
  afterEach("the session goes on", async () => {
    const { structured } = await client.call("run_command", { session_id, command: "echo fine" });
    expect(structured).to.include({ exit_code: 0, stdout: "fine\n" });
  });

  describe("a file of 50 MB", () => {
    before(() => client.call("run_command", { session_id, command: "yes 'a line of text' | head -n 3400000 > big" }));
    after(() => client.call("run_command", { session_id, command: "rm big" }));

    it("is read as a bounded text that says how large the whole is", async () => {
      const { isError, structured, text } = await client.call("read_file", { session_id, path: "big" });
      expect(isError, text).to.equal(false);
      expect(structured).to.include({ truncated: true, size_bytes: 51_000_000, total_lines: 3_400_000 });
      expect((structured.content as string).length).to.be.within(1, MB);
      expect(text).to.include("truncated");
    });

    it("can be paged through by lines", async () => {
      const args = { session_id, path: "big", offset: 3_399_999, limit: 10 };
      const { structured } = await client.call("read_file", args);
      expect(structured.content).to.equal("a line of text\na line of text\n");
    });

    it("is bounded as bytes too", async () => {
      const answer = await client.call("read_file", { session_id, path: "big", encoding: "base64" });
      if (answer.isError) expect(failureOf(answer)).to.equal("FILE_TOO_LARGE");
      else expect(answer.structured.truncated).to.equal(true);
    });
  });

  it("is written up to the limit, and refused above it", async () => {
    const content = "x".repeat(MAX_FILE_BYTES);
    const { structured } = await client.call("write_file", { session_id, path: "most", content });
    const sha256 = createHash("sha256").update(content).digest("hex");
    expect(structured).to.include({ size_bytes: MAX_FILE_BYTES, sha256 });
    const above = await client.call("write_file", { session_id, path: "above", content: `${content}x` });
    expect(failureOf(above)).to.equal("FILE_TOO_LARGE");
    const wide = await client.call("write_file", {
      session_id,
      path: "above",
      content: "€".repeat(MAX_FILE_BYTES / 2),
    });
    expect(failureOf(wide)).to.equal("FILE_TOO_LARGE");
    expect(failureOf(await client.call("read_file", { session_id, path: "above" }))).to.equal("NOT_FOUND");
  });

  it("comes back from base64 as the same bytes", async () => {
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
    const content = bytes.toString("base64");
    await client.call("write_file", { session_id, path: "bytes", content, encoding: "base64" });
    const { structured } = await client.call("read_file", { session_id, path: "bytes", encoding: "base64" });
    expect(structured).to.include({ content, size_bytes: 512 });
    const lossy = (await client.call("read_file", { session_id, path: "bytes" })).structured;
    expect(lossy).to.include({ lossy: true });
    expect(lossy.content).to.include("\ufffd");
  });

  it("does not fill anybody's memory as 100 MB of output: head and tail are shown, the rest is counted", async () => {
    const { coordinators, workers } = cluster.stack;
    const pids = [...coordinators, ...workers].map(({ pid }) => pid);
    const before = await Promise.all(pids.map(memoryOf));
    const peaks = [...before];
    const sampling = setInterval(async () => {
      const now = await Promise.all(pids.map(memoryOf));
      for (const [i, bytes] of now.entries()) peaks[i] = Math.max(peaks[i] ?? 0, bytes);
    }, 200);
    const command = "echo first; yes 'a line of text' | head -c 100000000; echo; echo last";
    const { structured } = await client.call("run_command", { session_id, command, wait_ms: 50_000 });
    clearInterval(sampling);

    expect(structured).to.include({ status: "exited", exit_code: 0, truncated: true });
    const stdout = structured.stdout as string;
    expect(stdout.length).to.be.lessThan(OUTPUT_BYTES.default + 1_000);
    expect(stdout)
      .to.match(/^first\n/)
      .and.to.match(/last\n$/)
      .and.to.include("bytes left out");
    expect(stdout).to.include(structured.process_id);
    for (const [i, peak] of peaks.entries()) {
      const grown = (peak - (before[i] ?? 0)) / MB;
      expect(grown, `MB that process ${i} grew by`).to.be.lessThan(100);
    }

    const { process_id } = structured;
    const page = (await client.call("read_process", { process_id })).structured;
    expect(page.evicted_before, "older output is no longer kept, and that is said").to.be.greaterThan(90 * MB);
    const end = (await client.call("read_process", { process_id, tail_lines: 1 })).structured;
    expect(end.output).to.equal("last\n");
  });

  it("is shown as far as it is text when output is binary, and said so", async () => {
    const command = "printf 'a\\xff\\xfe\\x00b'";
    const { structured, isError, text } = await client.call("run_command", { session_id, command });
    expect(isError).to.equal(false);
    expect(text).to.include("U+FFFD");
    expect(structured).to.include({ exit_code: 0, stdout: "a\ufffd\ufffd\0b", lossy: true });
    const { process_id } = structured;
    expect((await client.call("read_process", { process_id })).structured).to.include({ lossy: true });
    const noise = "head -c 100000 /dev/urandom";
    expect((await client.call("run_command", { session_id, command: noise })).structured).to.include({ exit_code: 0 });
  });

  it("is no way to stop the others: an expression that backtracks for ever is refused", async () => {
    const command = "head -c 40 /dev/zero | tr '\\0' a; echo b";
    const { process_id } = (await client.call("run_command", { session_id, command })).structured;
    const evil = client.call("read_process", { process_id, grep: "^(a+)+$" });
    expect(failureOf(await evil)).to.equal("INVALID_ARGUMENT");
    const fine = await client.call("read_process", { process_id, grep: "a+b$" });
    expect(fine.structured.output).to.match(/^a{40}b\n$/);
  });
});
