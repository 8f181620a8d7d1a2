import { createHash } from "node:crypto";
import { expect } from "chai";
import { MAX_FILE_BYTES } from "../../shared/catalog/index.ts";
import { failureOf } from "../support/tool-client.ts";
import { useWorkspace } from "../support/use-workspace.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("The tools that edit files", () => {
  const { call, sh, put, text, refusal, refuses } = useWorkspace();

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
});
