import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { expect } from "chai";
import { connectModern } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const MIB = 1024 * 1024;
const FILE_MIB = 1024;
/** Of one process, while a file of twice as much passes through. */
const GROWTH_MAX_MIB = FILE_MIB / 2;

/** A gibibyte in which no two MiB are alike. */
function* content(): Generator<Uint8Array> {
  for (let n = 0; n < FILE_MIB; n++) {
    const part = Buffer.alloc(MIB, n % 251);
    part.writeUInt32LE(n);
    yield part;
  }
}

describe("A file of 1 GiB", () => {
  const cluster = useCluster({ WORKSPACE_MB: String(FILE_MIB + 64), POOL_SIZE: "0" });

  it("goes up and comes down byte by byte, and no process ever holds it", async function () {
    this.timeout(600_000);
    const { coordinators, workers } = cluster.stack;
    const peakMib = (): number[] =>
      [...coordinators, ...workers].map(({ pid }) => {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024;
      });
    const client = await connectModern(cluster.url);
    const { session_id } = (await client.call("create_session")).structured;
    const before = peakMib();
    const put = await client.call("put_artifact", { session_id, path: "large" });
    const body = Readable.toWeb(Readable.from(content()));
    const up = await fetch(String(put.structured.url), {
      method: "PUT",
      body,
      duplex: "half",
    } as unknown as RequestInit);
    expect(up.status).to.equal(201);
    const expected = createHash("sha256");
    for (const part of content()) expected.update(part);
    const sha256 = expected.digest("hex");
    expect(await up.json()).to.include({ size_bytes: FILE_MIB * MIB, sha256 });

    const got = await client.call("get_artifact", { session_id, path: "large" });
    const down = await fetch(String(got.structured.url));
    const received = createHash("sha256");
    for await (const part of down.body as unknown as AsyncIterable<Uint8Array>) received.update(part);
    expect(received.digest("hex")).to.equal(sha256);
    const growth = peakMib().map((peak, i) => peak - (before[i] ?? 0));
    console.log(`      peak memory grew by ${growth.map(Math.round).join(", ")} MiB (coordinators, worker)`);
    for (const grown of growth) expect(grown).to.be.below(GROWTH_MAX_MIB);
    await client.call("close_session", { session_id });
    await client.close();
  });
});
