import { createHash } from "node:crypto";
import { expect } from "chai";
import { findTool, MAX_FILE_BYTES, toolList } from "../../shared/catalog/index.ts";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

type Args = Record<string, unknown>;

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0xff]);

/** name: read only, destructive, idempotent */
const ANNOTATIONS: Record<string, [boolean, boolean, boolean]> = {
  read_file: [true, false, true],
  write_file: [false, true, true],
  edit_file: [false, true, false],
  apply_patch: [false, true, false],
  list_files: [true, false, true],
  search_files: [true, false, true],
  diff_workspace: [true, false, true],
};

describe("The file tools", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());
  beforeEach(async () => {
    session_id ??= (await client.call("create_session")).structured.session_id;
    await sh("cd ~/workspace; find . -mindepth 1 -delete");
  });

  const call = (tool: string, args: Args): Promise<ToolAnswer> => client.call(tool, { session_id, ...args });
  const sh = async (command: string): Promise<string> =>
    String((await call("run_command", { command })).structured.stdout);
  const put = (path: string, content: string): Promise<ToolAnswer> => call("write_file", { path, content });
  const text = async (path: string): Promise<unknown> => (await call("read_file", { path })).structured.content;
  const refusal = async (tool: string, args: Args): Promise<ToolAnswer> => {
    const answer = await call(tool, args);
    expect(answer.isError, answer.text).to.equal(true);
    expect(answer.text.startsWith(`${failureOf(answer)}: ${answer.structured.message}`), answer.text).to.equal(true);
    return answer;
  };
  /** Each row: what is wrong, the arguments, the code, and what the text must name. */
  const refuses = (tool: string, rows: [what: string, args: Args, code: string, named: string][]): void => {
    for (const [what, args, code, named] of rows) {
      it(`refuses ${what}`, async () => {
        await put("f", "one\ntwo\n");
        const answer = await refusal(tool, args);
        expect(failureOf(answer), answer.text).to.equal(code);
        expect(answer.text).to.include(named);
      });
    }
  };

  it("say whether they change anything", () => {
    for (const [name, [readOnlyHint, destructiveHint, idempotentHint]] of Object.entries(ANNOTATIONS)) {
      const listed = toolList(["full"]).find((tool) => tool.name === name);
      const expected = { readOnlyHint, destructiveHint, idempotentHint, openWorldHint: false };
      expect(listed?.annotations, name).to.deep.equal(expected);
      expect(findTool(name)?.title, name).to.be.a("string");
    }
  });

  describe("read_file", () => {
    it("gives text with its lines, size and hash, and pages", async () => {
      await put("f", "one\ntwo\nthree");
      const whole = await call("read_file", { path: "f" });
      expect(whole.text).to.equal("one\ntwo\nthree");
      expect(whole.structured).to.include({ total_lines: 3, size_bytes: 13, mime: "text/plain", truncated: false });
      expect(whole.structured.sha256).to.equal(sha256("one\ntwo\nthree"));
      const page = await call("read_file", { path: "f", offset: 2, limit: 1 });
      expect(page.text).to.equal("two\n\n[truncated; 3 lines in all, read on with offset]");
      expect((await call("read_file", { path: "f", offset: 9 })).structured).to.include({
        content: "",
        total_lines: 3,
      });
    });

    it("gives images as images, and other bytes as base64", async () => {
      await call("write_file", { path: "p.png", content: PNG.toString("base64"), encoding: "base64" });
      const image = await call("read_file", { path: "p.png" });
      expect(image.images).to.deep.equal([{ data: PNG.toString("base64"), mimeType: "image/png" }]);
      expect(image.structured)
        .to.include({ mime: "image/png", size_bytes: PNG.length })
        .and.not.have.property("content");
      const raw = await call("read_file", { path: "p.png", encoding: "base64" });
      expect(raw.structured).to.include({ size_bytes: PNG.length, encoding: "base64" });
    });

    refuses("read_file", [
      ["what is not there", { path: "absent" }, "NOT_FOUND", "absent"],
      ["a folder", { path: "." }, "NOT_A_FILE", "regular file"],
      ["what is below a file", { path: "f/x" }, "NOT_A_DIRECTORY", "f/x"],
      ["what is outside", { path: "../x" }, "PATH_OUTSIDE_WORKSPACE", "outside"],
      ["line 0", { path: "f", offset: 0 }, "INVALID_ARGUMENT", "offset"],
      ["no lines", { path: "f", limit: 0 }, "INVALID_ARGUMENT", "limit"],
      ["another encoding", { path: "f", encoding: "latin1" }, "INVALID_ARGUMENT", "encoding"],
    ]);

    it("refuses what may not be read, and bytes that are too many", async () => {
      await sh(`echo x > closed; chmod 0 closed; head -c ${MAX_FILE_BYTES + 1} /dev/zero > big`);
      expect(failureOf(await refusal("read_file", { path: "closed" }))).to.equal("PERMISSION_DENIED");
      expect(failureOf(await refusal("read_file", { path: "big", encoding: "base64" }))).to.equal("FILE_TOO_LARGE");
    });
  });

  describe("write_file", () => {
    it("creates and replaces, with parents and permissions", async () => {
      const made = await call("write_file", { path: "a/b/c", content: "x\n", mode: "755" });
      expect(made.text).to.equal("Created a/b/c (2 bytes).");
      expect(made.structured).to.include({ created: true, size_bytes: 2, sha256: sha256("x\n") });
      const again = await put("a/b/c", "");
      expect(again.text).to.equal("Replaced a/b/c (0 bytes).");
      expect(await sh("stat -c '%a %s' a/b/c; ls -A a/b")).to.equal("755 0\nc\n");
    });

    it("writes only what its guard allows", async () => {
      expect((await call("write_file", { path: "g", content: "1", if_sha256: "absent" })).isError).to.equal(false);
      const taken = await refusal("write_file", { path: "g", content: "2", if_sha256: "absent" });
      expect(failureOf(taken)).to.equal("STALE_FILE");
      const stale = await refusal("write_file", { path: "g", content: "2", if_sha256: sha256("0") });
      expect(stale.text).to.include(sha256("1"));
      const written = await call("write_file", { path: "g", content: "2", if_sha256: sha256("1") });
      expect(written.structured).to.include({ created: false });
      expect(await text("g")).to.equal("2");
    });

    it("shows a reader the old content or the new, never a part", async () => {
      const [a, b] = ["a".repeat(200_000), "b".repeat(200_000)];
      await put("f", a);
      const watching = call("run_command", {
        command: "until [ -e stop ]; do sort -u <(fold -w1 f) | tr -d '\\n'; echo; done | sort -u > seen; cat seen",
        background: true,
      });
      await watching;
      for (let i = 0; i < 10; i++) await put("f", i % 2 ? a : b);
      await put("stop", "");
      const seen = await sh("until [ -s seen ]; do sleep 0.05; done; cat seen");
      expect(seen).to.match(/^(a\n)?(b\n)?$/);
    });

    refuses("write_file", [
      ["a folder", { path: ".", content: "" }, "NOT_A_FILE", "folder"],
      ["what is below a file", { path: "f/x", content: "" }, "NOT_A_DIRECTORY", "f/x"],
      ["what is outside", { path: "/etc/x", content: "" }, "PATH_OUTSIDE_WORKSPACE", "outside"],
      ["a guard that is no hash", { path: "f", content: "", if_sha256: "12" }, "INVALID_ARGUMENT", "if_sha256"],
      ["permissions that are none", { path: "f", content: "", mode: "999" }, "INVALID_ARGUMENT", "mode"],
      ["content that is no base64", { path: "f", content: "%", encoding: "base64" }, "INVALID_ARGUMENT", "base64"],
      ["a missing content", { path: "f" }, "INVALID_ARGUMENT", "content"],
    ]);

    it("refuses what may not be written, and a full disk", async () => {
      await sh("echo x > fixed; chmod 444 fixed; head -c 124M /dev/zero > filler");
      expect(failureOf(await refusal("write_file", { path: "fixed", content: "" }))).to.equal("PERMISSION_DENIED");
      const full = await refusal("write_file", { path: "big", content: "x".repeat(MAX_FILE_BYTES) });
      expect(failureOf(full)).to.equal("DISK_FULL");
      expect(await sh("ls -A")).to.equal("filler\nfixed\n");
    });
  });

  describe("edit_file", () => {
    it("replaces one text, and shows the diff", async () => {
      await put("f", "one\ntwo\nthree\n");
      const answer = await call("edit_file", { path: "f", old_string: "two", new_string: "2" });
      const diff = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
      expect(answer.text).to.equal(`Made 1 replacement in f.\n${diff}`);
      expect(answer.structured).to.include({
        diff,
        replacements: 1,
        dry_run: false,
        sha256: sha256("one\n2\nthree\n"),
      });
      expect(await text("f")).to.equal("one\n2\nthree\n");
    });

    it("replaces all, or only shows what it would do", async () => {
      await put("f", "a a\na\n");
      const args = { path: "f", old_string: "a", new_string: "b", replace_all: true };
      const dry = await call("edit_file", { ...args, dry_run: true });
      expect(dry.text.startsWith("Would make 3 replacements in f.\n"), dry.text).to.equal(true);
      expect(dry.structured).to.not.have.property("sha256");
      expect(await text("f")).to.equal("a a\na\n");
      expect((await call("edit_file", args)).structured).to.include({ replacements: 3 });
      expect(await text("f")).to.equal("b b\nb\n");
    });

    it("keeps permissions, line ends and links", async () => {
      await sh("printf 'a\\r\\nb\\r\\n' > f; chmod 750 f; ln -s f link");
      await call("edit_file", { path: "link", old_string: "a\nb", new_string: "x\ny" });
      expect(await sh("od -An -c f | tr -d ' '; stat -c %a f; readlink link")).to.equal("x\\r\\ny\\r\\n\n750\nf\n");
    });

    it("shows the nearest match on a miss", async () => {
      await put("f", "def f():\n    return 1\n");
      const miss = await refusal("edit_file", { path: "f", old_string: "def f():\n  return 1", new_string: "x" });
      expect(failureOf(miss)).to.equal("EDIT_NO_MATCH");
      expect(miss.text).to.include("begins at line 1, and it differs in whitespace");
      expect(miss.text).to.include("def f():\n    return 1");
    });

    it("is refused where its guard does not hold", async () => {
      await put("f", "one\n");
      const args = { path: "f", old_string: "one", new_string: "1" };
      const stale = await refusal("edit_file", { ...args, if_sha256: sha256("other") });
      expect(failureOf(stale)).to.equal("STALE_FILE");
      expect(stale.text).to.include(sha256("one\n"));
      expect((await call("edit_file", { ...args, if_sha256: sha256("one\n") })).isError).to.equal(false);
    });

    refuses("edit_file", [
      ["what is there twice", { path: "f", old_string: "o", new_string: "x" }, "EDIT_NOT_UNIQUE", "lines 1, 2"],
      ["what is not there", { path: "f", old_string: "qqq", new_string: "x" }, "EDIT_NO_MATCH", "f"],
      ["a file that is not there", { path: "no", old_string: "a", new_string: "x" }, "NOT_FOUND", "no"],
      ["a folder", { path: ".", old_string: "a", new_string: "x" }, "NOT_A_FILE", "."],
      ["what is outside", { path: "/etc/passwd", old_string: "r", new_string: "x" }, "PATH_OUTSIDE_WORKSPACE", "/etc"],
      ["no change", { path: "f", old_string: "one", new_string: "one" }, "INVALID_ARGUMENT", "same"],
      ["an empty text", { path: "f", old_string: "", new_string: "x" }, "INVALID_ARGUMENT", "old_string"],
      [
        "a guard that is none",
        { path: "f", old_string: "one", new_string: "1", if_sha256: "x" },
        "INVALID_ARGUMENT",
        "if_sha256",
      ],
    ]);

    it("refuses a file that is too large, and one that would be", async () => {
      await sh(
        `head -c ${MAX_FILE_BYTES + 1} /dev/zero | tr '\\0' a > big; head -c 90000 big > f; echo x > fixed; chmod 444 fixed`,
      );
      const large = await refusal("edit_file", { path: "big", old_string: "a", new_string: "b" });
      expect(failureOf(large)).to.equal("FILE_TOO_LARGE");
      const args = { path: "f", old_string: "a", new_string: "b".repeat(100), replace_all: true };
      expect(failureOf(await refusal("edit_file", args))).to.equal("FILE_TOO_LARGE");
      const closed = await refusal("edit_file", { path: "fixed", old_string: "x", new_string: "y" });
      expect(failureOf(closed)).to.equal("PERMISSION_DENIED");
    });
  });

  describe("apply_patch", () => {
    const UNIFIED =
      "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n" +
      "diff --git a/new/g b/new/g\nnew file mode 100755\n--- /dev/null\n+++ b/new/g\n@@ -0,0 +1 @@\n+g\n" +
      "diff --git a/old b/old\ndeleted file mode 100644\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n" +
      "diff --git a/from b/to\nsimilarity index 100%\nrename from from\nrename to to\n";
    const setUp = (): Promise<string> => sh("printf 'one\\ntwo\\n' > f; echo x > old; echo y > from; chmod 640 from");
    const TREE = "f: one 2 \nnew/g: g \nto: y \n";
    const tree = (): Promise<string> =>
      sh(
        "find . -type f -not -name '.*' | sort | sed s,^./,, | while read f; do echo \"$f: $(tr '\\n' ' ' < $f)\"; done",
      );

    it("changes, creates, deletes and renames as one", async () => {
      await setUp();
      const dry = await call("apply_patch", { patch: UNIFIED, dry_run: true });
      expect(dry.text.startsWith("The patch would apply:\n"), dry.text).to.equal(true);
      expect(await sh("cat f old")).to.equal("one\ntwo\nx\n");
      const answer = await call("apply_patch", { patch: UNIFIED });
      expect(answer.text).to.equal("Applied the patch:\nupdate f\ncreate new/g\ndelete old\nrename from to to");
      expect(answer.structured.files).to.deep.include({ path: "to", op: "rename", from: "from" });
      expect(await tree()).to.equal(TREE);
      expect(await sh("stat -c %a new/g to; ls -A")).to.equal("755\n640\nf\nnew\nto\n");
    });

    it("takes *** Begin Patch", async () => {
      await setUp();
      const patch =
        "*** Begin Patch\n*** Update File: f\n@@ one\n-two\n+2\n*** Add File: new/g\n+g\n*** Delete File: old\n*** Update File: from\n*** Move to: to\n*** End Patch\n";
      expect((await call("apply_patch", { patch })).isError).to.equal(false);
      expect(await tree()).to.equal(TREE);
    });

    it("changes nothing when one part does not fit, and says why of each", async () => {
      await setUp();
      await sh("echo z > old; mkdir to");
      const before = await tree();
      const answer = await refusal("apply_patch", { patch: UNIFIED });
      expect(failureOf(answer)).to.equal("PATCH_REJECTED");
      expect(answer.text).to.include('old: hunk 3: line 1 is "z", not "x"').and.include("from: ");
      expect(await tree()).to.equal(before);
      const dry = await call("apply_patch", { patch: UNIFIED, dry_run: true });
      expect(dry.isError).to.equal(false);
      expect(dry.structured.rejects).to.have.length(2);
      expect(dry.text).to.include("would not apply").and.include('line 1 is "z"');
    });

    it("changes nothing when a part cannot be written", async () => {
      await setUp();
      await sh("mkdir closed; chmod 555 closed");
      const patch = `${UNIFIED}diff --git a/closed/x b/closed/x\nnew file mode 100644\n--- /dev/null\n+++ b/closed/x\n@@ -0,0 +1 @@\n+x\n`;
      const before = await tree();
      expect(failureOf(await refusal("apply_patch", { patch }))).to.equal("PERMISSION_DENIED");
      expect(await tree()).to.equal(before);
      expect(await sh("ls -A; ls -A closed")).to.equal("closed\nf\nfrom\nold\n");
    });

    it("patches a file twice, in order", async () => {
      await put("f", "a\n");
      const step = (from: string, to: string): string => `--- a/f\n+++ b/f\n@@ -1 +1 @@\n-${from}\n+${to}\n`;
      await call("apply_patch", { patch: step("a", "b") + step("b", "c") });
      expect(await text("f")).to.equal("c\n");
    });

    const of = (path: string): string => `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-a\n+b\n`;
    refuses("apply_patch", [
      ["what is no patch", { patch: "nonsense" }, "PATCH_REJECTED", "holds no file"],
      ["an empty one", { patch: "" }, "INVALID_ARGUMENT", "patch"],
      ["lines that differ", { patch: of("f") }, "PATCH_REJECTED", 'line 1 is "one", not "a"'],
      ["a file that is not there", { patch: of("no") }, "PATCH_REJECTED", "no: there is no such file"],
      ["a folder", { patch: of("./") }, "PATCH_REJECTED", "not a regular file"],
      ["what is outside", { patch: of("../f") }, "PATH_OUTSIDE_WORKSPACE", "outside"],
      [
        "to create what is there",
        { patch: "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n" },
        "PATCH_REJECTED",
        "there already",
      ],
      [
        "fuzz",
        { patch: "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n on\n-two\n+2\n" },
        "PATCH_REJECTED",
        'line 1 is "one", not "on"',
      ],
      [
        "too many files",
        { patch: Array.from({ length: 201 }, (_, i) => of(`f${i}`)).join("") },
        "PATCH_REJECTED",
        "200",
      ],
    ]);
  });

  describe("list_files", () => {
    it("lists with type, size and time", async () => {
      await sh("mkdir d; echo x > f; ln -s f l; touch -d 2020-01-02T03:04:05Z f");
      const answer = await call("list_files", {});
      expect(answer.text).to.equal("d/  dir\nf  2 bytes\nl  symlink");
      expect(answer.structured).to.include({ truncated: false });
      const [, file] = answer.structured.entries as Args[];
      expect(file).to.deep.equal({ path: "f", type: "file", size_bytes: 2, mtime: "2020-01-02T03:04:05.000Z" });
    });

    it("goes as deep, and leaves out, as it is told", async () => {
      await sh("mkdir -p d/e; touch d/a.py d/e/b.py d/.h d/x.log; echo '*.log' > d/.gitignore");
      const paths = async (args: Args): Promise<unknown> =>
        ((await call("list_files", args)).structured.entries as Args[]).map(({ path }) => path);
      expect(await paths({})).to.deep.equal(["d"]);
      expect(await paths({ depth: 3 })).to.deep.equal(["d", "d/a.py", "d/e", "d/e/b.py", "d/x.log"]);
      expect(await paths({ glob: "**/*.py" })).to.deep.equal(["d/a.py", "d/e/b.py"]);
      expect(await paths({ path: "d", include_hidden: true, respect_gitignore: true })).to.deep.equal([
        ...["d/.gitignore", "d/.h", "d/a.py", "d/e"],
      ]);
      const cut = await call("list_files", { depth: 3, limit: 1 });
      expect(cut.text).to.equal("d/  dir\n(more were left out; raise limit)");
      expect((await call("list_files", { glob: "none*" })).text).to.equal("No files.");
    });

    refuses("list_files", [
      ["what is not there", { path: "absent" }, "NOT_FOUND", "absent"],
      ["a file", { path: "f" }, "NOT_A_DIRECTORY", "f"],
      ["what is outside", { path: ".." }, "PATH_OUTSIDE_WORKSPACE", "outside"],
      ["depth 0", { depth: 0 }, "INVALID_ARGUMENT", "depth"],
      ["depth 21", { depth: 21 }, "INVALID_ARGUMENT", "depth"],
      ["more than 5,000", { limit: 5_001 }, "INVALID_ARGUMENT", "limit"],
      ["a glob of too many choices", { glob: "{a,b}".repeat(9) }, "INVALID_ARGUMENT", "alternatives"],
    ]);
  });

  describe("search_files", () => {
    beforeEach(() =>
      sh(`mkdir -p src node_modules/m .git .github; cd src; printf 'one\\nTwo (x)\\nthree\\n' > a.py; echo two > b.txt
        cd ..; echo two > node_modules/m/i.js; echo two > .git/x; echo two > .github/w; echo two > out.log; echo '*.log' > .gitignore
        printf 'two\\0' > bin; ln -s src link`),
    );

    it("shows lines, names or counts", async () => {
      const lines = await call("search_files", { pattern: "two", case_sensitive: false });
      expect(lines.text).to.equal(".github/w:1:two\nsrc/a.py:2:Two (x)\nsrc/b.txt:1:two");
      expect(lines.structured.matches).to.deep.include({ path: "src/a.py", line: 2, text: "Two (x)" });
      const names = await call("search_files", { pattern: "two", mode: "files" });
      expect(names.text).to.equal(".github/w\nsrc/b.txt");
      const counts = await call("search_files", { pattern: "e", mode: "count", path: "src" });
      expect(counts.text).to.equal("src/a.py: 2");
      expect((await call("search_files", { pattern: "absent" })).text).to.equal("No matches.");
    });

    it("finds what its arguments say", async () => {
      const found = async (args: Args): Promise<string> => (await call("search_files", args)).text;
      expect(await found({ pattern: "(x)", literal: true })).to.equal("src/a.py:2:Two (x)");
      expect(await found({ pattern: "^t\\w+$" })).to.equal(".github/w:1:two\nsrc/a.py:3:three\nsrc/b.txt:1:two");
      expect(await found({ pattern: "two", glob: "*.txt" })).to.equal("src/b.txt:1:two");
      expect(await found({ pattern: "two", glob: "!src/**" })).to.equal(".github/w:1:two");
      expect(await found({ pattern: "two", path: "src/b.txt" })).to.equal("src/b.txt:1:two");
      expect(await found({ pattern: "two", path: "node_modules/m" })).to.equal("node_modules/m/i.js:1:two");
      expect(await found({ pattern: "Two", context: 1 })).to.equal(
        "src/a.py-1-one\nsrc/a.py:2:Two (x)\nsrc/a.py-3-three",
      );
      expect(await found({ pattern: "-n" }), "a pattern is never an option").to.equal("No matches.");
    });

    it("is bounded, and says so", async () => {
      await sh("yes two | head -n 3000 > many; head -c 3000000 /dev/zero | tr '\\0' a > long");
      const cut = await call("search_files", { pattern: "two", path: "many", limit: 2 });
      expect(cut.text).to.equal("many:1:two\nmany:2:two\n(more were left out; raise limit)");
      expect(cut.structured).to.include({ truncated: true });
      const long = await call("search_files", { pattern: "aaa", path: "long" });
      expect(long.text.length).to.be.within(500, 700);
    });

    it("waits for nobody", async () => {
      await sh("mkfifo fifo");
      expect(failureOf(await refusal("search_files", { pattern: "a", path: "fifo" }))).to.equal("NOT_A_FILE");
      expect((await call("search_files", { pattern: "absent" })).text).to.equal("No matches.");
    });

    refuses("search_files", [
      ["an expression that is none", { pattern: "(" }, "INVALID_ARGUMENT", "unclosed group"],
      ["a glob that is none", { pattern: "a", glob: "[" }, "INVALID_ARGUMENT", "["],
      ["no pattern", { pattern: "" }, "INVALID_ARGUMENT", "pattern"],
      ["a line end", { pattern: "a\nb" }, "INVALID_ARGUMENT", "literal"],
      ["what is not there", { pattern: "a", path: "absent" }, "NOT_FOUND", "absent"],
      ["what is outside", { pattern: "a", path: "/etc" }, "PATH_OUTSIDE_WORKSPACE", "outside"],
      ["another mode", { pattern: "a", mode: "lines" }, "INVALID_ARGUMENT", "mode"],
      ["too much context", { pattern: "a", context: 21 }, "INVALID_ARGUMENT", "context"],
      ["more than 2,000", { pattern: "a", limit: 2_001 }, "INVALID_ARGUMENT", "limit"],
    ]);

    it("says so where there is no ripgrep", async () => {
      const env = { PATH: "/nowhere" };
      const { structured } = await client.call("create_session", { env });
      const answer = await client.call("search_files", { session_id: structured.session_id, pattern: "a" });
      expect(failureOf(answer)).to.equal("UNSUPPORTED");
      expect(answer.text).to.include("grep -rn");
      await client.call("close_session", { session_id: structured.session_id });
    });
  });

  describe("diff_workspace", () => {
    beforeEach(async () => {
      await client.call("close_session", { session_id });
      session_id = (await client.call("create_session")).structured.session_id;
    });

    it("shows what the last call changed, and what the session did", async () => {
      await sh(
        "mkdir src; printf 'one\\ntwo\\n' > src/f; echo x > gone; printf '\\0' > bin; echo '*.log' > .gitignore; ln -s src link",
      );
      await sh("echo 3 >> src/f; rm gone; chmod +x bin; echo y > out.log; mkdir node_modules; echo z > node_modules/z");
      const last = await call("diff_workspace", { since: "last_call" });
      expect(last.text).to.equal(
        "3 files changed, 1 lines added, 1 removed\n" +
          "diff --git a/bin b/bin\nold mode 100644\nnew mode 100755\n" +
          "diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n" +
          "diff --git a/src/f b/src/f\n--- a/src/f\n+++ b/src/f\n@@ -1,2 +1,3 @@\n one\n two\n+3\n",
      );
      expect(last.structured.stat).to.deep.equal({ files: 3, insertions: 1, deletions: 1 });
      expect(last.structured.files).to.deep.include({ path: "gone", op: "delete", insertions: 0, deletions: 1 });
      const all = await call("diff_workspace", {});
      const paths = (all.structured.files as Args[]).map(({ path, op }) => `${op} ${path}`);
      expect(paths).to.deep.equal(["create .gitignore", "create bin", "create link", "create src/f"]);
      expect((await call("diff_workspace", { path: "src" })).structured.stat).to.deep.include({
        files: 1,
        insertions: 3,
      });
    });

    it("counts what each tool changes as that call's", async () => {
      await put("f", "a\n");
      await put("g", "b\n");
      const since = "last_call";
      expect((await call("diff_workspace", { since })).structured.files).to.have.length(1);
      await call("edit_file", { path: "f", old_string: "a", new_string: "c" });
      expect((await call("diff_workspace", { since })).text)
        .to.include("-a\n+c\n")
        .and.not.include("b/g");
      await call("read_file", { path: "f" });
      expect((await call("diff_workspace", { since })).text, "reading is no such call").to.include("-a\n+c\n");
      await sh("true");
      expect((await call("diff_workspace", { since })).text).to.equal("Nothing changed.");
    });

    it("shows what changed since a checkpoint", async () => {
      await sh(
        "mkdir src; echo one > src/f; echo x > gone; echo y > same; ln -s a link; echo '*.log' > .gitignore; echo l > a.log",
      );
      const { checkpoint_id: since } = (await call("create_checkpoint", { name: "before" })).structured;
      expect((await call("diff_workspace", { since })).text).to.equal("Nothing changed.");
      await sh(
        "echo 1 > src/f; rm gone; touch same; ln -sf b link; echo m > a.log; mkdir node_modules; echo z > node_modules/z; echo n > new; echo h > ~/h",
      );
      const all = await call("diff_workspace", { since });
      const files = (all.structured.files as Args[]).map(({ path, op }) => `${op} ${path}`);
      expect(files).to.deep.equal(["delete gone", "update link", "create new", "update src/f"]);
      expect(all.text).to.include("--- a/src/f\n+++ b/src/f\n@@ -1,1 +1,1 @@\n-one\n+1\n");
      expect((await call("diff_workspace", { since, path: "src" })).structured.stat).to.deep.include({ files: 1 });
      expect(failureOf(await refusal("diff_workspace", { since, path: "/etc" }))).to.equal("PATH_OUTSIDE_WORKSPACE");
      const forked = await client.call("create_session", { from_checkpoint: since });
      const fork = { session_id: forked.structured.session_id };
      expect((await client.call("diff_workspace", fork)).text, "what it began with").to.equal("Nothing changed.");
      await client.call("close_session", fork);
      await call("delete_checkpoint", { checkpoint_id: since });
      expect(failureOf(await refusal("diff_workspace", { since }))).to.equal("NOT_FOUND");
    });

    it("writes a patch that git and apply_patch take", async () => {
      await sh(
        "printf 'a\\nb' > f; printf 'x\\r\\ny\\r\\n' > w; echo gone > gone; mkdir -p ~/base; cp f w gone ~/base",
      );
      await sh("printf 'a\\nc' > f; printf 'x\\r\\nz\\r\\n' > w; rm gone; echo n > 'a new one'; chmod +x f");
      const { diff } = (await call("diff_workspace", { since: "last_call" })).structured;
      const stdin = String(diff);
      const applied = await call("run_command", {
        command: "cd ~/base && git apply - && od -c f w 'a new one' && ls",
        stdin,
      });
      expect(applied.structured, String(applied.structured.stderr)).to.include({ exit_code: 0 });
      expect(applied.structured.stdout).to.equal(await sh("od -c f w 'a new one' && ls"));
    });

    it("is bounded, and says so", async () => {
      await sh("seq 50000 > lines; head -c 1000000 /dev/urandom | base64 > large");
      const answer = await call("diff_workspace", { max_output_bytes: 1_000 });
      expect(answer.structured).to.include({ truncated: true });
      expect(answer.text.length).to.be.below(1_400);
      expect((await call("diff_workspace", { path: "large" })).text).to.include("too large to show");
    });

    refuses("diff_workspace", [
      ["a checkpoint that there is none of", { since: "ckpt_x" }, "NOT_FOUND", "ckpt_x"],
      ["another beginning", { since: "yesterday" }, "INVALID_ARGUMENT", "since"],
      ["what is outside", { path: "/etc" }, "PATH_OUTSIDE_WORKSPACE", "outside"],
      ["too few bytes", { max_output_bytes: 1 }, "INVALID_ARGUMENT", "max_output_bytes"],
    ]);
  });
});
