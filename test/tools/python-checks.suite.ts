import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { failureOf } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useProjects } from "../support/use-project.ts";

const SOURCE = `import os


def double(number: int) -> int:
    return str(number * 2)


print(undefined_name)
`;

describe("run_checks for Python", function () {
  this.timeout(600_000);
  const project = useProjects(useCluster());

  it("lints without settings, and tells errors before the rest", async () => {
    const code = await project("python", { "src/app.py": SOURCE, "tests/long.py": `x = "${"x".repeat(90)}"\n` });
    const run = await code.done("run_checks");
    expect(run).to.include({ status: "found" });
    expect(run.checks).to.deep.equal([{ name: "flake8", status: "found", count: 3 }]);
    expect(run.diagnostics.map(({ file, line, rule, severity }) => ({ file, line, rule, severity }))).to.deep.equal([
      { file: "src/app.py", line: 1, rule: "F401", severity: "error" },
      { file: "src/app.py", line: 8, rule: "F821", severity: "error" },
      { file: "tests/long.py", line: 1, rule: "E501", severity: "warning" },
    ]);
    expect(run.text).to.include("src/app.py:8:7  error  F821  undefined name 'undefined_name'");

    const one = await code.done("run_checks", { kinds: ["lint"], paths: ["tests"] });
    expect(one.diagnostics.map(({ file }) => file)).to.deep.equal(["tests/long.py"]);
    await code.write("src/app.py", "x = 1\n");
    expect(await code.done("run_checks", { paths: ["src"] })).to.include({ status: "clean" });
  });

  it("checks types where settings or the caller ask for it", async () => {
    const code = await project("python", { "app.py": SOURCE });
    const asked = await code.done("run_checks", { kinds: ["typecheck"] });
    expect(asked.checks.map(({ name }) => name)).to.deep.equal(["mypy"]);
    const [first] = asked.diagnostics;
    expect(first).to.include({ file: "app.py", line: 5, column: 12, severity: "error", rule: "return-value" });
    expect(first?.message).to.include('got "str", expected "int"');

    await code.write("pyproject.toml", '[tool.mypy]\nfiles = ["app.py"]\n');
    const both = await code.done("run_checks");
    expect(both.checks.map(({ name }) => name)).to.deep.equal(["mypy", "flake8"]);
    expect(both.diagnostics.map(({ rule }) => rule)).to.include.members(["return-value", "F821"]);
    const { stdout } = (await code.call("run_command", { command: "ls -A" })).structured;
    expect(stdout, "no cache is left in the project").to.equal("app.py\npyproject.toml\n");
  });

  it("says what is missing, what breaks, and that there is nothing to check", async () => {
    const broken = await project("python", {
      "ruff.toml": "",
      "tsconfig.json": "{}",
      ".flake8": "[flake8]\nmax-line-length = wide\n",
      "a.py": "",
    });
    const run = await broken.done("run_checks");
    const statuses = Object.fromEntries(run.checks.map(({ name, status }) => [name, status]));
    expect(statuses).to.deep.equal({ ruff: "not_installed", flake8: "failed", tsc: "not_installed" });
    expect(run.status).to.equal("failed");
    expect(run.checks.find(({ name }) => name === "flake8")?.message).to.include("wide");
    const empty = await project("python", { "README.md": "" });
    expect(failureOf(await empty.call("run_checks"))).to.equal("NOT_FOUND");
    expect(failureOf(await empty.call("run_checks", { paths: ["/etc"] }))).to.equal("PATH_OUTSIDE_WORKSPACE");
    expect(failureOf(await empty.call("run_checks", { kinds: ["style"] }))).to.equal("INVALID_ARGUMENT");
  });

  it("runs ruff where the project has it", async function () {
    const ruff = process.env.RUFF ?? findOnPath("ruff");
    if (!ruff) this.skip(); // no Debian package has it, and tests reach no registry: see checks/parsers.unit.test.ts
    const code = await project("python", { "ruff.toml": 'lint.select = ["F"]\n', "app.py": SOURCE });
    const bytes = readFileSync(ruff);
    for (let at = 0, part = 0; at < bytes.length; at += 5_000_000, part++) {
      const content = bytes.subarray(at, at + 5_000_000).toString("base64");
      await code.call("write_file", {
        path: `.venv/part${String(part).padStart(3, "0")}`,
        content,
        encoding: "base64",
      });
    }
    await code.done("run_command", {
      command: "mkdir .venv/bin && cat .venv/part* >.venv/bin/ruff && rm .venv/part* && chmod +x .venv/bin/ruff",
    });
    const run = await code.done("run_checks", { kinds: ["lint"] });
    expect(run.checks).to.deep.equal([{ name: "ruff", status: "found", count: 2 }]);
    expect(run.diagnostics[1]).to.include({ file: "app.py", line: 8, column: 7, severity: "error", rule: "F821" });
  });
});

/** An executable of this machine that is one file of its own. */
const findOnPath = (name: string): string | undefined => {
  try {
    const path = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    return readFileSync(path).subarray(1, 4).toString() === "ELF" ? path : undefined;
  } catch {
    return undefined;
  }
};
