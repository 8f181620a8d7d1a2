import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { ComposeProject } from "../support/compose-project.ts";

const GUIDE = "docs/guides/docker-compose-getting-started.md";
/** Done before any test, and the same for all: it would replace the modules that these tests run with. */
const SET_UP = ["npm ci", "npm run build"];

describe("The guide to Docker Compose", function () {
  this.timeout(600_000);
  let project: ComposeProject;
  before(async () => {
    project = await ComposeProject.create({ POOL_SIZE: "1", WORKSPACE_MB: "64" });
  });
  after(() => project?.remove());

  it("has commands that do what it says, one after the other", async () => {
    const text = await readFile(GUIDE, "utf8");
    const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
    const commands = blocks.flatMap((block) => block.split("\n")).filter((line) => line && !SET_UP.includes(line));
    expect(commands).to.have.length.above(6);
    const script = `set -euxo pipefail\n${commands.join("\n")}\n`;
    const env = { ...process.env, FRONT_PORT: String(project.port), COMPOSE_PROJECT_NAME: project.name };
    const shell = spawn("bash", ["-s"], { cwd: project.folder, env, stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (data: Buffer) => (output += data));
    shell.stdin.end(script);
    const [code] = await once(shell, "close");
    expect(code, output.slice(-3_000)).to.equal(0);
    expect(output).to.match(/hello from Linux/);
    expect((await project.left()).containers).to.deep.equal([]);
  });
});
