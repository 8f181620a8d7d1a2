import { createHash } from "node:crypto";
import { expect } from "chai";
import type { TestSandbox } from "../../../test/support/test-sandbox.ts";
import { useDocker } from "../../../test/support/use-docker.ts";

describe("Files of a sandbox", () => {
  const docker = useDocker();
  let owner: TestSandbox;
  before(async () => {
    owner = await docker.shared();
  });

  const read = (path: string, options = {}) => owner.sandbox.readFile({ path, ...options });
  const write = (path: string, content: string | Buffer, options = {}) =>
    owner.sandbox.writeFile({ path, content: Buffer.from(content), ...options });
  const list = async (path: string, options = {}) =>
    (await owner.sandbox.listFiles({ path, ...options })).entries.map((e) => e.path);
  const codeOf = (attempt: Promise<unknown>): Promise<string> =>
    attempt.then(
      () => "it worked",
      (error) => error.code,
    );
  const text = (content: Uint8Array) => Buffer.from(content).toString();

  it("are written whole, with their parents, and read back", async () => {
    const written = await write("a/b/c.txt", "one\ntwo\n");
    expect(written).to.include({ created: true, sizeBytes: 8n });
    const found = await read("/home/dev/workspace/a/b/c.txt");
    expect(text(found.content)).to.equal("one\ntwo\n");
    expect(found).to.include({
      sizeBytes: 8n,
      totalLines: 2n,
      lineCount: 2n,
      truncated: false,
      isUtf8: true,
      mime: "text/plain",
    });
    expect(found.sha256).to.equal(written.sha256).and.to.equal(createHash("sha256").update("one\ntwo\n").digest("hex"));
  });

  it("keep their mode unless another is given", async () => {
    await write("mode.sh", "1", { mode: 0o750 });
    expect(await write("mode.sh", "2")).to.include({ created: false });
    expect((await owner.run("stat -c %a mode.sh a/b/c.txt")).stdout).to.equal("750\n644\n");
  });

  it("are replaced only if they are what the writer thinks", async () => {
    const { sha256 } = await write("hash.txt", "1", { ifSha256: "absent" });
    expect(await codeOf(write("hash.txt", "2", { ifSha256: "absent" }))).to.equal("STALE_FILE");
    expect(await codeOf(write("hash.txt", "2", { ifSha256: sha256.replace(/./, "x") }))).to.equal("STALE_FILE");
    expect(await codeOf(write("none.txt", "2", { ifSha256: sha256 }))).to.equal("STALE_FILE");
    expect(await write("hash.txt", "2", { ifSha256: sha256 })).to.include({ created: false });
  });

  it("are read by lines, whole ones, with what is left out told", async () => {
    await write("lines.txt", "a\nbb\nccc\nlast");
    const part = async (options: object) => {
      const { content, lineCount, totalLines, truncated } = await read("lines.txt", options);
      return [text(content), Number(lineCount), Number(totalLines), truncated];
    };
    expect(await part({ lineOffset: 2n, lineLimit: 2n })).to.deep.equal(["bb\nccc\n", 2, 4, true]);
    expect(await part({ lineOffset: 4n })).to.deep.equal(["last", 1, 4, false]);
    expect(await part({ lineOffset: 9n })).to.deep.equal(["", 0, 4, false]);
    expect(await part({ maxBytes: 7n })).to.deep.equal(["a\nbb\n", 2, 4, true]);
    expect(await part({ maxBytes: 2n, lineOffset: 3n })).to.deep.equal(["cc", 1, 4, true]);
  });

  it("that are not text are recognised, and read as they are", async () => {
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0xff]);
    await write("p.png", bytes);
    const found = await read("p.png", { raw: true });
    expect(found).to.include({ isUtf8: false, mime: "image/png" });
    expect(Buffer.from(found.content).equals(bytes)).to.equal(true);
    expect(await codeOf(read("p.png", { raw: true, maxBytes: 9n }))).to.equal("FILE_TOO_LARGE");
  });

  it("of 50 MB are read in part without the agent growing", async () => {
    await owner.run("seq -f %040.0f 1250000 | head -c 50000000 > large");
    const memory = async () => Number((await owner.run("ps -o rss= -p $(pgrep -f [a]gent.cjs | tail -1)")).stdout);
    const before = await memory();
    const { content, sizeBytes, truncated } = await read("large", { maxBytes: 100_000n, lineOffset: 1_000_000n });
    expect([sizeBytes, truncated]).to.deep.equal([50_000_000n, true]);
    expect(text(content)).to.match(/^0{33}1000000\n/);
    expect((await memory()) - before, "KB of 50,000: the file is never held as a whole").to.be.below(25_000);
    await owner.run("rm large");
  });

  it("outside the workspace are refused, however they are reached", async () => {
    await owner.run(
      "ln -s /etc etc; ln -s /etc/passwd passwd; ln -s /tmp/new dangling; ln -s loop loop; ln -s a inside",
    );
    for (const path of ["../x", "/etc/passwd", "a/../../x", "etc/passwd", "passwd"])
      expect(await codeOf(read(path)), path).to.equal("PATH_OUTSIDE_WORKSPACE");
    for (const path of ["../x", "/tmp/x", "etc/x", "passwd", "dangling", "/home/dev/workspaces"])
      expect(await codeOf(write(path, "x")), path).to.equal("PATH_OUTSIDE_WORKSPACE");
    for (const path of ["..", "/", "etc"]) expect(await codeOf(list(path)), path).to.equal("PATH_OUTSIDE_WORKSPACE");
    expect(text((await read("inside/b/c.txt")).content)).to.equal("one\ntwo\n");
    expect(await codeOf(read("loop"))).to.equal("INVALID_ARGUMENT");
    await owner.run("rm etc passwd dangling loop inside");
  });

  it("are written through a symlink inside the workspace", async () => {
    await owner.run("ln -s a/b/c.txt link");
    await write("link", "through");
    expect((await owner.run("readlink link; cat a/b/c.txt; rm link")).stdout).to.equal("a/b/c.txt\nthrough");
  });

  it("that are none give a code at once", async () => {
    await owner.run("mkfifo fifo; mkdir folder; : > closed; chmod 0 closed; : > fixed; chmod 444 fixed");
    expect(await codeOf(read("fifo"))).to.equal("NOT_A_FILE");
    expect(await codeOf(write("fifo", ""))).to.equal("NOT_A_FILE");
    expect(await codeOf(read("folder"))).to.equal("NOT_A_FILE");
    expect(await codeOf(write("folder", ""))).to.equal("NOT_A_FILE");
    expect(await codeOf(write("folder/", ""))).to.equal("NOT_A_FILE");
    expect(await codeOf(write("", ""))).to.equal("NOT_A_FILE");
    expect(await codeOf(read("missing"))).to.equal("NOT_FOUND");
    expect(await codeOf(read("closed/x"))).to.equal("NOT_A_DIRECTORY");
    expect(await codeOf(write("closed/x", ""))).to.equal("NOT_A_DIRECTORY");
    expect(await codeOf(list("closed"))).to.equal("NOT_A_DIRECTORY");
    expect(await codeOf(read("closed"))).to.equal("PERMISSION_DENIED");
    expect(await codeOf(write("fixed", "x"))).to.equal("PERMISSION_DENIED");
    expect(await codeOf(read("nul\0"))).to.equal("INVALID_ARGUMENT");
    expect(await codeOf(write("x".repeat(300), ""))).to.equal("INVALID_ARGUMENT");
    await owner.run("rm -rf fifo folder closed fixed");
  });

  it("that do not fit on the disk leave nothing behind", async () => {
    await owner.run("head -c 60M /dev/zero > filler");
    expect(await codeOf(write("big", Buffer.alloc(12_000_000)))).to.equal("DISK_FULL");
    expect(await codeOf(write("huge", Buffer.alloc(17_000_000)))).to.equal("FILE_TOO_LARGE");
    expect((await owner.run("rm filler; ls -A | grep -c -e tmp -e big -e huge")).stdout).to.equal("0\n");
  });

  it("are listed by depth, glob and limit, hidden and ignored ones only if asked for", async () => {
    await owner.run(`mkdir t && cd t && mkdir -p src/deep .git node_modules/x && touch a.py src/b.py src/deep/c.ts src/d.log .env \\
      node_modules/x/i.js .git/config && printf 'node_modules/\\n*.log\\n!keep.log\\n' > .gitignore && touch src/keep.log && ln -s a.py l`);
    expect(await list("t")).to.deep.equal(["t/a.py", "t/l", "t/node_modules", "t/src"]);
    expect(await list("t", { glob: "**/*.{py,ts}", depth: 9 })).to.deep.equal([
      "t/a.py",
      "t/src/b.py",
      "t/src/deep/c.ts",
    ]);
    expect(await list("t", { depth: 9, respectGitignore: true })).to.deep.equal([
      "t/a.py",
      "t/l",
      "t/src",
      "t/src/b.py",
      "t/src/deep",
      "t/src/deep/c.ts",
      "t/src/keep.log",
    ]);
    expect(await list("t/src", { respectGitignore: true })).to.deep.equal([
      "t/src/b.py",
      "t/src/deep",
      "t/src/keep.log",
    ]);
    expect(await list("t", { includeHidden: true, glob: ".*" })).to.deep.equal(["t/.env", "t/.git", "t/.gitignore"]);
    const { entries, truncated } = await owner.sandbox.listFiles({ path: "t", limit: 2 });
    expect([entries.map(({ type }) => type), truncated]).to.deep.equal([["file", "symlink"], true]);
  });
});
