import { createHash } from "node:crypto";
import { expect } from "chai";
import { findTool, MAX_FILE_BYTES, toolList } from "../../shared/catalog/index.ts";
import { failureOf } from "../support/tool-client.ts";
import { useWorkspace } from "../support/use-workspace.ts";

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

describe("The tools that read and write files", () => {
  const { call, sh, put, text, refusal, refuses } = useWorkspace();

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
});
