import { expect } from "chai";
import { failureOf } from "../support/tool-client.ts";
import { useWorkspace } from "../support/use-workspace.ts";

type Args = Record<string, unknown>;

describe("diff_workspace", () => {
  const { ask, call, sh, put, refusal, refuses, renew } = useWorkspace();

  beforeEach(async () => {
    await renew();
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
    const forked = await ask("create_session", { from_checkpoint: since });
    const fork = { session_id: forked.structured.session_id };
    expect((await ask("diff_workspace", fork)).text, "what it began with").to.equal("Nothing changed.");
    await ask("close_session", fork);
    await call("delete_checkpoint", { checkpoint_id: since });
    expect(failureOf(await refusal("diff_workspace", { since }))).to.equal("NOT_FOUND");
  });

  it("writes a patch that git and apply_patch take", async () => {
    await sh("printf 'a\\nb' > f; printf 'x\\r\\ny\\r\\n' > w; echo gone > gone; mkdir -p ~/base; cp f w gone ~/base");
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
