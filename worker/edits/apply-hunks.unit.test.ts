import { expect } from "chai";
import fc from "fast-check";
import { useGit } from "../../test/support/git-scratch.ts";
import { PROPERTY_RUNS, randomChange, randomText } from "../../test/support/random-text.ts";
import { applyHunks } from "./apply-hunks.ts";
import { fromText, toText } from "./byte-text.ts";
import { parseBeginPatch } from "./parse-begin-patch.ts";
import { parseUnifiedDiff } from "./parse-unified-diff.ts";
import { Reject } from "./patch.ts";
import { fileDiff } from "./unified-diff.ts";

const MODE = 0o100644;
const apply = (before: string, patch: string): string => {
  const [file] = parseUnifiedDiff(fromText(patch));
  return toText(applyHunks(fromText(before), file?.hunks ?? []));
};
const applyNamed = (before: string, body: string): string => {
  const [file] = parseBeginPatch(fromText(`*** Begin Patch\n*** Update File: f\n${body}\n*** End Patch\n`));
  return toText(applyHunks(fromText(before), file?.hunks ?? []));
};
const diff = (before: string, after: string): string =>
  toText(fileDiff({ path: "f", oldMode: MODE, newMode: MODE, old: fromText(before), new: fromText(after) }).text);
const reason = (attempt: () => string): string => {
  try {
    return `it became ${JSON.stringify(attempt())}`;
  } catch (error) {
    if (error instanceof Reject) return error.message;
    throw error;
  }
};

describe("A unified diff", function () {
  this.timeout(60_000 + PROPERTY_RUNS * 300); // two processes of git each
  const git = useGit();

  it("by git is applied as git applies it, for any change of any text", () => {
    const property = fc.property(randomChange(), fc.constantFrom(0, 1, 3), ({ before, after }, context) => {
      fc.pre(before !== after);
      const patch = git.diff("f", before, after, context);
      expect(apply(before, patch)).to.equal(after);
    });
    fc.assert(property, { numRuns: PROPERTY_RUNS });
  });

  it("of ours is one that git applies, and we", () => {
    const property = fc.property(randomChange(), ({ before, after }) => {
      const patch = diff(before, after);
      fc.pre(before !== after);
      expect(git.apply("f", before, patch)).to.equal(after);
      expect(apply(before, patch)).to.equal(after);
    });
    fc.assert(property, { numRuns: PROPERTY_RUNS });
  });

  it("of ours tells of a file that became a link, or is binary, or has a name that git quotes", () => {
    const versions = { path: "é x", oldMode: MODE, newMode: 0o120000, old: "a\n", new: "target" };
    expect(fileDiff(versions).text).to.equal(
      'diff --git "a/\\303\\251 x" "b/\\303\\251 x"\ndeleted file mode 100644\n--- "a/\\303\\251 x"\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n' +
        'diff --git "a/\\303\\251 x" "b/\\303\\251 x"\nnew file mode 120000\n--- /dev/null\n+++ "b/\\303\\251 x"\n@@ -0,0 +1,1 @@\n+target\n\\ No newline at end of file\n',
    );
    const binary = fileDiff({ path: "b", oldMode: MODE, newMode: MODE, old: "\0", new: "x" });
    expect(binary).to.include({ text: "diff --git a/b b/b\nBinary files differ\n", isBinary: true });
  });

  it("for another version of the file is applied as git does it, or refused", () => {
    // Each line is there once, so that git has no choice of places either.
    const numbered = (text: string): string => text.replace(/\r?\n/g, (end) => ` ${seen++}${end}`);
    let seen = 0;
    let compared = 0;
    const property = fc.property(
      randomText("lf"),
      fc.nat(30),
      randomText("lf", 3),
      fc.nat(30),
      (text, at, put, other) => {
        const lines = numbered(text).match(/[^\n]*\n|[^\n]+/g) ?? [];
        const changed = (place: number, inserted: string): string => {
          const next = [...lines];
          next.splice(Math.min(place, lines.length), 1, ...(inserted.match(/[^\n]*\n/g) ?? []));
          return next.join("");
        };
        const [before, after, drifted] = [lines.join(""), changed(at, put), changed(other, "drift\n")];
        fc.pre(before !== after && after !== "");
        const patch = git.diff("f", before, after);
        const byGit = git.apply("f", drifted, patch);
        let ours: string | undefined;
        try {
          ours = apply(drifted, patch);
        } catch (error) {
          if (!(error instanceof Reject)) throw error;
        }
        if (byGit === undefined || ours === undefined) return;
        expect(ours).to.equal(byGit);
        compared++;
      },
    );
    fc.assert(property, { numRuns: PROPERTY_RUNS });
    expect(compared, "patches that both applied").to.be.at.least(PROPERTY_RUNS / 10);
  });

  it("keeps CRLF and a missing newline at the end, written with LF alone", () => {
    const patch = "--- a/f\n+++ b/f\n@@ -1,3 +1,4 @@\n a\n-b\n+x\n+y\n c\n\\ No newline at end of file\n";
    expect(apply("a\r\nb\r\nc", patch)).to.equal("a\r\nx\r\ny\r\nc");
    expect(apply("a\nb\nc", patch)).to.equal("a\nx\ny\nc");
    expect(apply("a\r\nb\r\nc", patch.replaceAll("\n", "\r\n")), "the patch came with CRLF").to.equal(
      "a\r\nx\r\ny\r\nc",
    );
  });

  it("is moved where its lines stand once, and nowhere else", () => {
    const patch = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n b\n-c\n+C\n";
    expect(apply("a\na\nb\nc\n", patch)).to.equal("a\na\nb\nC\n");
    expect(reason(() => apply("a\nb\nc\nb\nc\n", patch)))
      .to.include("hunk 1")
      .and.include("lines 2, 4");
    expect(reason(() => apply("b\nx\n", patch))).to.equal('hunk 1: line 2 is "x", not "c"');
    expect(reason(() => apply("b\nc", patch))).to.include("ends differ");
    expect(reason(() => apply("b\n", patch))).to.include('the file ends before line 2, which should be "c"');
  });

  it("is refused, saying where, when it is not well formed", () => {
    const file = "--- a/f\n+++ b/f\n";
    const refusal = (patch: string): string => reason(() => apply("a\n", patch));
    expect(refusal("nonsense")).to.include("holds no file");
    expect(refusal("@@ -1 +1 @@\n-a\n+b\n")).to.include("line 1").and.include("belongs to no file");
    expect(refusal(`${file}@@ -1,2 +1,2 @@\n-a\n+b\n`)).to.include("2 old and 2 new lines, and holds others");
    expect(refusal(`${file}@@ -1 +1 @@\n-a\n+b\n+c\n`)).to.include("holds others");
    expect(refusal("diff --git a/f b/f\nGIT binary patch\n")).to.include("binary");
    expect(refusal("diff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n")).to.include(
      "links",
    );
    expect(refusal("--- a/f\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n")).to.include("rename");
    expect(refusal("diff --git a/f b/f\ncopy from f\ncopy to g\n")).to.include("copies");
  });

  it("may have prose around it, a mail's signature, and empty lines cut", () => {
    const patch = "From: somebody\n\n--- a/f\t2026-01-01\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n\n-c\n+C\n-- \n2.40\n";
    expect(apply("a\n\nc\n", patch)).to.equal("a\n\nC\n");
  });

  it("names files as git does", () => {
    const parse = (patch: string) =>
      parseUnifiedDiff(fromText(patch)).map(({ op, path, oldPath, mode }) => ({ op, path, oldPath, mode }));
    const names = 'diff --git "a/\\303\\251 \\"x\\"" "b/\\303\\251 \\"x\\""\nold mode 100644\nnew mode 100755\n';
    expect(parse(names)).to.deep.equal([{ op: "update", path: 'é "x"', oldPath: 'é "x"', mode: 0o755 }]);
    expect(parse("diff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n")).to.deep.equal([
      { op: "rename", path: "n", oldPath: "o", mode: undefined },
    ]);
    expect(parse("diff --git a/e b/e\nnew file mode 100644\nindex 0000000..e69de29\n")[0]).to.include({
      op: "create",
      path: "e",
    });
    expect(parse("--- x/a b\t1970\n+++ x/a b\n@@ -1 +1 @@\n-a\n+b\n")[0]).to.include({ path: "x/a b" });
  });
});

describe("*** Begin Patch", () => {
  it("finds its hunks by their text, in order, and by @@ lines", () => {
    const file = "class A:\n    def f(self):\n        return 1\n\nclass B:\n    def f(self):\n        return 1\n";
    const body = "@@ class B:\n     def f(self):\n-        return 1\n+        return 2";
    expect(applyNamed(file, body)).to.equal(file.replace(/return 1\n$/, "return 2\n"));
    const hunk = "     def f(self):\n-        return 1\n+        return 2";
    expect(reason(() => applyNamed(file, `@@\n${hunk}`)))
      .to.include("lines 2, 6")
      .and.include("@@ line");
    expect(reason(() => applyNamed(file, `@@ class C:\n${hunk}`))).to.include('reads "class C:"');
    expect(reason(() => applyNamed(file, "-        return 3\n+x"))).to.include("nearest are at line 3");
  });

  it("adds at the end, or after an @@ line, what has no old lines", () => {
    expect(applyNamed("a\nb\n", "@@\n+c")).to.equal("a\nb\nc\n");
    expect(applyNamed("a\nb", "@@\n+c")).to.equal("a\nb\nc");
    expect(applyNamed("a\nb\n", "@@ a\n+c")).to.equal("a\nc\nb\n");
    expect(applyNamed("x\na\nx\n", " x\n-a\n+b")).to.equal("x\nb\nx\n");
    expect(applyNamed("x\nx\n", "-x\n+y\n*** End of File")).to.equal("x\ny\n");
    expect(reason(() => applyNamed("x\nz\n", "-x\n+y\n*** End of File"))).to.include("not the file's last ones");
  });

  it("keeps CRLF and a missing newline at the end", () => {
    const property = fc.property(randomText("lf"), fc.nat(30), fc.boolean(), (text, at, isCrlf) => {
      const lines = text.split("\n").map((line, i) => `${line} ${i}`);
      const place = at % lines.length;
      const file = lines.join("\n");
      const body = `-${lines[place]}\n+new\n+lines`;
      const expected = lines.with(place, "new\nlines").join("\n");
      const ends = (one: string): string => (isCrlf ? one.replaceAll("\n", "\r\n") : one);
      fc.pre(!isCrlf || lines.length > 1);
      expect(applyNamed(ends(file), body)).to.equal(ends(expected));
      expect(applyNamed(ends(`${file}\n`), body)).to.equal(ends(`${expected}\n`));
    });
    fc.assert(property, { numRuns: PROPERTY_RUNS });
  });

  it("names what it does to each file", () => {
    const patch =
      "*** Begin Patch\n*** Add File: d/n\n+one\n+\n*** Delete File: o\n*** Update File: a\n*** Move to: b\n*** End Patch";
    const files = parseBeginPatch(fromText(patch)).map(({ op, path, oldPath }) => [op, oldPath, path]);
    expect(files).to.deep.equal([
      ["create", "d/n", "d/n"],
      ["delete", "o", "o"],
      ["rename", "a", "b"],
    ]);
  });

  it("is refused, saying where, when it is not well formed", () => {
    const refusal = (text: string): string => reason(() => String(parseBeginPatch(fromText(text))));
    expect(refusal("*** Begin Patch\n*** Delete File: x\n")).to.include("*** End Patch");
    expect(refusal("*** Begin Patch\nnonsense\n*** End Patch")).to.include("line 2").and.include("expected");
    expect(refusal("*** Begin Patch\n*** Add File: x\nno plus\n*** End Patch")).to.include("line 3");
    expect(refusal("*** Begin Patch\n*** Update File: x\n*** End Patch")).to.include("nothing is to be changed");
    expect(refusal("*** Begin Patch\n*** Update File: x\n@@\n?\n*** End Patch")).to.include("line 4");
    expect(refusal("*** Begin Patch\n*** End Patch")).to.include("names no file");
  });
});

describe("Patches made to take long", () => {
  it("are refused in the end", () => {
    const lines = Array.from({ length: 300_000 }, (_, i) => (i % 2 ? "a\n" : "b\n")).join("");
    const hunk = "@@ -1,3 +1,2 @@\n a\n b\n-b\n";
    expect(reason(() => apply(lines, `--- a/f\n+++ b/f\n${hunk.repeat(2_000)}`))).to.include("hunk 1");
    const misplaced = Array.from({ length: 200 }, (_, i) => `@@ -${i + 9} +${i + 9} @@\n-u${i}\n+v\n`).join("");
    const unique = Array.from({ length: 200 }, (_, i) => `u${i}\n`).join("");
    expect(reason(() => apply(lines + unique, `--- a/f\n+++ b/f\n${misplaced}`))).to.include("too many hunks");
  });

  it("are differences that are shown as one block", () => {
    const before = Array.from({ length: 60_000 }, (_, i) => `${i % 7}\n`).join("");
    const after = Array.from({ length: 60_000 }, (_, i) => `${(i * 5) % 11}\n`).join("");
    expect(apply(before, diff(before, after))).to.equal(after);
  });
});
