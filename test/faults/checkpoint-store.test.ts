import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";

const canMount = process.platform === "linux" && process.getuid?.() === 0;
const DISK_MB = 8;

describe("A folder of checkpoints", () => {
  let folder = "";
  let disk = "";
  let store = "";
  let stack: EmbeddedStack;
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    disk = join(folder, "disk");
    store = join(disk, "checkpoints");
    await mkdir(disk);
    if (canMount) execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MB}m`, "tmpfs", disk]);
    await mkdir(store);
    const env = { POOL_SIZE: "1", DURABILITY: "call", CHECKPOINT_STORE: pathToFileURL(store).href };
    stack = await EmbeddedStack.start({ folder: join(folder, "stack"), env });
    client = await connectModern(stack.url);
    session_id = (await client.call("create_session")).structured.session_id;
  });
  after(async () => {
    await client.close();
    expect(await stack.stop()).to.deep.equal([0, 0]);
    if (canMount) execFileSync("umount", [disk]);
    await rm(folder, { recursive: true });
  });

  const write = async (path: string): Promise<ToolAnswer> =>
    await client.call("write_file", { session_id, path, content: path });
  const expectRisk = async (why: RegExp): Promise<void> => {
    const risky = await write("risky");
    expect(risky.isError, "the call itself went well").to.equal(false);
    expect(risky.structured).to.include({ durable: false });
    expect(risky.structured.notice).to.match(why);
    const refused = await client.call("create_checkpoint", { session_id });
    expect(failureOf(refused)).to.equal("STORE_UNAVAILABLE");
    expect(refused.structured.message).to.match(why);
    expect((await client.call("read_file", { session_id, path: "risky" })).structured.content).to.equal("risky");
  };
  const expectKept = async (path: string): Promise<void> => {
    expect((await write(path)).structured)
      .to.include({ created: true })
      .and.to.not.have.property("durable");
  };

  it("whose disk is full makes results say that they are not durable, until there is room again", async function () {
    if (!canMount) this.skip();
    await expectKept("before");
    const ballast = join(disk, "ballast");
    await writeFile(ballast, Buffer.alloc(DISK_MB * 1024 * 1024)).catch(() => {}); // as much as there is room for
    await expectRisk(/its disk is full/);
    await rm(ballast);
    await expectKept("after");
  });

  it("that refuses makes results say that they are not durable, until it takes them again", async () => {
    const away = `${store}-away`;
    await rename(store, away);
    await writeFile(store, "");
    await expectRisk(/cannot write/);
    await rm(store);
    await rename(away, store);
    await expectKept("at last");
  });
});
