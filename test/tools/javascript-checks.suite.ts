import { expect } from "chai";
import { useCluster } from "../support/use-cluster.ts";
import { useProjects } from "../support/use-project.ts";

const ESLINT = `import js from "@eslint/js";
export default [js.configs.recommended, { rules: { eqeqeq: "warn" } }];
`;

describe("run_checks for JavaScript", function () {
  this.timeout(600_000);
  const project = useProjects(useCluster());

  it("runs eslint, biome and tsc, each where its settings are", async () => {
    const code = await project("node", {
      "eslint.config.mjs": ESLINT,
      "biome.json": '{"files": {"includes": ["*.js"]}}',
      "tsconfig.json": '{"compilerOptions": {"strict": true, "types": []}, "include": ["*.ts"]}',
      "a.js": "export const a = 1;\nif (a == 2) missing();\n",
      "b.ts": 'export const b: number =\n  "text";\n',
    });
    const run = await code.done("run_checks");
    expect(run).to.include({ status: "found" });
    expect(run.checks.map(({ name, status }) => `${name} ${status}`)).to.deep.equal([
      "eslint found",
      "biome found",
      "tsc found",
    ]);
    const found = run.diagnostics.map(({ file, line, rule, severity }) => `${file}:${line} ${severity} ${rule}`);
    expect(found).to.include.members([
      "a.js:2 error no-undef",
      "a.js:2 warning eqeqeq",
      "a.js:2 error lint/suspicious/noDoubleEquals",
      "b.ts:1 error TS2322",
    ]);

    const types = await code.done("run_checks", { kinds: ["typecheck"] });
    expect(types.checks.map(({ name }) => name)).to.deep.equal(["tsc"]);
    await code.write("b.ts", "export const b = 1;\n");
    expect(await code.done("run_checks", { kinds: ["typecheck"] })).to.include({ status: "clean" });
    await code.write("a.js", "export const a = 1;\n");
    expect(await code.done("run_checks")).to.include({ status: "clean" });
  });

  it("shows what a checker complains about when it cannot run", async () => {
    const broken = await project("node", { "eslint.config.mjs": "throw new Error('bad settings');\n", "a.js": "" });
    const run = await broken.done("run_checks");
    expect(run).to.include({ status: "failed" });
    expect(run.checks[0]?.message).to.include("bad settings");
  });
});
