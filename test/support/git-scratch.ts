import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ENV = {
  ...process.env,
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CEILING_DIRECTORIES: tmpdir(),
};

/** git itself, in a folder of its own, to compare with. Removed after the tests of the `describe`. */
export const useGit = () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "codegen-mcp-git-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const git = (args: string[], input?: string) => spawnSync("git", args, { cwd: folder, env: ENV, input });
  return {
    /** What `git diff` writes for one file, called `name`. */
    diff: (name: string, before: string, after: string, context = 3): string => {
      writeFileSync(join(folder, "before"), before);
      writeFileSync(join(folder, "after"), after);
      const { stdout } = git(["diff", "--no-index", "--no-color", `-U${context}`, "before", "after"]);
      return stdout.toString().replaceAll("a/before", `a/${name}`).replaceAll("b/after", `b/${name}`);
    },
    /** The file after `git apply`, or undefined when git refuses the patch. */
    apply: (name: string, before: string, patch: string): string | undefined => {
      writeFileSync(join(folder, name), before);
      const { status } = git(["apply", "--whitespace=nowarn", "-"], patch);
      return status === 0 ? readFileSync(join(folder, name), "utf8") : undefined;
    },
  };
};
