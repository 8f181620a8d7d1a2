import { createHash } from "node:crypto";
import { expect } from "chai";
import type { TreeEntry, TreeScan } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { TestSandbox } from "../../../test/support/test-sandbox.ts";
import { useDocker } from "../../../test/support/use-docker.ts";
import { CHUNK_BYTES, KIND } from "./tree-entry.ts";

describe("The files of a sandbox, scanned and unpacked", () => {
  const docker = useDocker();
  let owner: TestSandbox;
  before(async () => {
    owner = await docker.shared();
  });

  const scan = async (since?: Pick<TreeScan, "generation" | "number">): Promise<TreeScan> =>
    await owner.sandbox.scanTree(since ? { generation: since.generation, base: since.number } : {});
  const paths = (found: TreeScan, kind?: number): string[] =>
    found.entries.filter((entry) => kind === undefined || entry.kind === kind).map(({ path }) => path);
  const entry = (found: TreeScan, path: string): TreeEntry => found.entries.find((one) => one.path === path)!;

  it("are told whole at first, then only what changed, with the content of small ones", async () => {
    await owner.run("mkdir -p a/b; echo one > a/b/one; echo two > two; ln -s a/b link; mkfifo pipe");
    const first = await scan();
    expect(first).to.include({ isFull: true, isComplete: true, isEnded: true, leftOut: 1 });
    expect(paths(first)).to.include.members(["workspace", "workspace/a", "workspace/a/b", "workspace/a/b/one"]);
    expect(entry(first, "workspace/link")).to.include({ kind: KIND.symlink, target: "a/b" });
    expect(Buffer.from(first.data).toString()).to.equal("one\ntwo\n");
    expect(Buffer.from(entry(first, "workspace/two").chunks).toString("hex")).to.equal(
      createHash("sha256").update("two\n").digest("hex"),
    );
    const second = await scan(first);
    expect(second).to.include({ isFull: false }).and.to.have.property("entries").that.is.empty;
    await owner.run("echo 2 > two; chmod 700 a/b/one; rm link; touch -d 2001-01-01 a/b");
    const third = await scan(second);
    expect(paths(third, KIND.removed)).to.deep.equal(["workspace/link"]);
    expect(paths(third)).to.have.members(
      ["workspace", "workspace/a/b", "workspace/a/b/one", "workspace/two"].concat("workspace/link"),
    );
    expect((await scan(first)).entries, "what was not taken is told again").to.have.length(5);
    expect((await scan({ generation: "another", number: 1n })).isFull).to.equal(true);
  });

  it("are told again when they were changed within one tick of the clock, whatever their times say", async () => {
    await owner.run("printf aaaa > tick");
    const first = await scan();
    await owner.run("printf bbbb > tick; touch -r a/b/one tick; touch -d 2001-01-01 tick");
    expect(paths(await scan(first))).to.include("workspace/tick");
  });

  it("are told as they are, whoever changed them: the agent for a tool, or a process that nobody waits for", async () => {
    const { sandbox } = owner;
    const write = (path: string, text: string) => sandbox.writeFile({ path, content: Buffer.from(text) });
    const told = async (since: TreeScan): Promise<[TreeScan, string[]]> => {
      const found = await scan(since);
      return [found, paths(found).filter((path) => path.includes("by-"))];
    };
    await owner.run("mkdir by-hand; echo 1 > by-hand/old; ln -s by-hand by-link");
    let [found] = await told(await scan());
    await write("by-tool/new/file", "one");
    await write("by-link/linked", "two");
    let changed: string[];
    [found, changed] = await told(found);
    const made = ["by-tool", "by-tool/new", "by-tool/new/file", "by-hand", "by-hand/linked"];
    expect(changed).to.have.members(made.map((path) => `workspace/${path}`));
    expect(Buffer.from(found.data).toString()).to.have.lengthOf(6);
    const { fileCount, fileBytes } = await scan();
    expect(found).to.include({ isFull: false, fileCount, fileBytes });
    [found] = await told(found);
    await sandbox.writeFiles([
      { path: "by-hand/old", remove: true },
      { path: "by-tool/new/file", content: Buffer.from("three") },
    ]);
    [found, changed] = await told(found);
    expect(paths(found, KIND.removed)).to.deep.equal(["workspace/by-hand/old"]);
    expect(changed).to.include("workspace/by-tool/new/file");
    const { exit, processId } = await owner.start("while :; do date +%s%N > by-process; sleep 0.01; done");
    let writes = 0;
    const until = async (path: string): Promise<void> => {
      for (let isThere = false; !isThere; isThere = changed.includes(path)) {
        await write("by-tool/new/file", `${++writes}`);
        [found, changed] = await told(found);
        expect(changed).to.include("workspace/by-tool/new/file");
      }
    };
    await until("workspace/by-process");
    await until("workspace/by-process");
    await owner.run("(setsid sh -c 'sleep 0.2; echo > by-orphan' &)");
    await sandbox.kill(processId, "SIGKILL");
    await exit;
    await until("workspace/by-orphan");
    const upload = { path: "by-part", uploadId: "u" };
    await sandbox.writePart({ ...upload, data: Buffer.from("part") });
    [found] = await told(found);
    await sandbox.writePart({ ...upload, discard: true });
    [found] = await told(found);
    expect(found.fileCount).to.equal((await scan()).fileCount);
  });

  it("stand still while they are read", async () => {
    const writer = await owner.start(
      "head -c 3000000 /dev/zero > large; while :; do date +%s%N > next; mv next now; done",
    );
    while ((await owner.run("test -s now && test $(stat -c %s large) = 3000000")).exitCode !== 0);
    const found = await scan();
    expect(found).to.include({ isComplete: true, isEnded: false });
    const chunks = [0, 1, 2].map((index) => ({ path: "workspace/large", index }));
    const content = Buffer.from(await owner.sandbox.readChunks({ chunks }));
    expect(content).to.have.length(3_000_000);
    const hashes = [0, 1, 2].map((i) =>
      createHash("sha256")
        .update(content.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES))
        .digest(),
    );
    expect(Buffer.from(entry(found, "workspace/large").chunks)).to.deep.equal(Buffer.concat(hashes));
    const now = async () =>
      Buffer.from(await owner.sandbox.readChunks({ chunks: [{ path: "workspace/now", index: 0 }] })).toString();
    expect(await now()).to.equal(await now());
    const waiting = owner.sandbox.readFile({ path: "now" });
    await owner.sandbox.endScan();
    expect(Buffer.from((await waiting).content)).to.have.length.greaterThan(0);
    const before = (await owner.run("cat now")).stdout;
    while ((await owner.run("cat now")).stdout === before); // it goes on
    await owner.sandbox.kill(writer.processId, "SIGKILL");
    await writer.exit;
    const late = await owner.sandbox.readChunks({ chunks }).catch((error) => error.code);
    expect(late, "nothing is read after the end").to.equal("NOT_FOUND");
  });

  it("are unpacked as they were: content, modes, times, links; what else was there is gone", async () => {
    const script =
      "rm -rf ~/..?* ~/.[!.]* ~/workspace/*; mkdir -p d/locked; echo x > d/locked/x; chmod 400 d/locked/x; " +
      "head -c 1500000 /dev/urandom > big; : > empty; ln -s /nowhere dangling; chmod 500 d/locked; find ~ -exec touch -h -d '2020-02-02 02:02:02.123456' {} +";
    await owner.run(script);
    const list = "find ~ -printf '%P %y %m %T@ %s %l\\n' | sort; sha256sum big";
    const before = (await owner.run(list)).stdout;
    const found = await scan();
    const big = Buffer.from(
      await owner.sandbox.readChunks({ chunks: [0, 1].map((index) => ({ path: "workspace/big", index })) }),
    );
    await owner.sandbox.endScan();
    await owner.run("chmod 700 d/locked; rm -rf big d; mkdir -p other/deep; echo y > other/deep/y; chmod 0 other/deep");
    const { entries, data } = found;
    const inline = entries.filter(({ isInline }) => isInline);
    const pieces = inline.map(({ path, sizeBytes }) => ({ path, index: 0, length: Number(sizeBytes) }));
    await owner.sandbox.unpackTree({ isFirst: true, entries, pieces }, [data]);
    const bigPieces = [CHUNK_BYTES, 1_500_000 - CHUNK_BYTES].map((length, index) => ({
      path: "workspace/big",
      index,
      length,
    }));
    const unpacked = await owner.sandbox.unpackTree({ pieces: bigPieces, isLast: true }, [big]);
    const drop = (text: string) => text.replace(/^ d .*\n/, ""); // HOME's own times
    expect(drop((await owner.run(list)).stdout)).to.equal(drop(before));
    expect((await scan(unpacked)).entries, "it counts as scanned").to.deep.equal([]);
  });

  it("refuse to be unpacked outside of HOME", async () => {
    for (const path of ["../x", "/tmp/x", "workspace/../../x", ""]) {
      const attempt = owner.sandbox.unpackTree({ isFirst: true, entries: [{ path, kind: KIND.folder }] });
      expect(await attempt.catch((error) => error.code), path).to.equal("PATH_OUTSIDE_WORKSPACE");
    }
    expect((await owner.run("true", { cwd: "/home/dev" })).exitCode, "and the session goes on").to.equal(0);
  });
});
