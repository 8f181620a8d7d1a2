import { expect } from "chai";
import { failureOf } from "../support/tool-client.ts";
import { useWorkspace } from "../support/use-workspace.ts";

type Args = Record<string, unknown>;

describe("The tools that find files", () => {
  const { ask, call, sh, refusal, refuses } = useWorkspace();

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
      const { structured } = await ask("create_session", { env });
      const answer = await ask("search_files", { session_id: structured.session_id, pattern: "a" });
      expect(failureOf(answer)).to.equal("UNSUPPORTED");
      expect(answer.text).to.include("grep -rn");
      await ask("close_session", { session_id: structured.session_id });
    });
  });
});
