import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { findEngine } from "./docker-engine.mjs";
import { packagesOfMissing } from "./extra-tools.mjs";
import { findMissing } from "./missing.mjs";
import { areNpmPackagesCurrent } from "./npm-install.mjs";
import { endEngine, enter, leave, recordEngine } from "./started-engine.mjs";

const newFolder = () => mkdtempSync(join(tmpdir(), "codegen-bootstrap-"));

describe("what a machine lacks", () => {
  it("is nothing where the setup has run", async () => {
    const { packages, problems, startsEngine, npm } = await findMissing(process.env);
    expect({ packages, problems, startsEngine, npm }).to.deep.equal({
      packages: [],
      problems: [],
      startsEngine: false,
      npm: false,
    });
  });

  it("is asked for by the suites that need more, by names that are known", () => {
    expect(packagesOfMissing("")).to.deep.equal([]);
    expect(() => packagesOfMissing("prometheus grafana")).to.throw('SETUP_TOOLS knows no "grafana"');
  });

  it("names an engine that DOCKER_HOST points to in vain, and starts no other", async () => {
    const { problems, startsEngine } = await findMissing({ ...process.env, DOCKER_HOST: "unix:///nowhere.sock" });
    expect(problems[0].what).to.equal("DOCKER_HOST=unix:///nowhere.sock does not answer (ENOENT)");
    expect(startsEngine).to.equal(false);
    expect(await findEngine({ DOCKER_HOST: "tcp://127.0.0.1:1" })).to.have.property("problem");
  });
});

describe("npm packages", () => {
  const write = (folder, name, packages) => writeFileSync(join(folder, name), JSON.stringify({ packages }));

  it("are current when each one has the locked version; those of other platforms may be missing", () => {
    const folder = newFolder();
    expect(areNpmPackagesCurrent(folder)).to.equal(false);
    mkdirSync(join(folder, "node_modules/a"), { recursive: true });
    const locked = {
      "": {},
      "node_modules/a": { version: "1.0.0" },
      "node_modules/b": { version: "1.0.0", optional: true },
    };
    write(folder, "package-lock.json", locked);
    write(folder, "node_modules/.package-lock.json", { "node_modules/a": { version: "1.0.0" } });
    expect(areNpmPackagesCurrent(folder)).to.equal(true);
    write(folder, "node_modules/.package-lock.json", { "node_modules/a": { version: "0.9.0" } });
    expect(areNpmPackagesCurrent(folder)).to.equal(false);
    write(folder, "node_modules/.package-lock.json", { "node_modules/a": { version: "1.0.0" } });
    rmSync(join(folder, "node_modules/a"), { recursive: true });
    expect(areNpmPackagesCurrent(folder), "removed by hand").to.equal(false);
  });
});

describe("package-lock.json", () => {
  it("names the packages of every platform, without which npm ci refuses it", () => {
    const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
    const names = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    const missing = names.filter(
      (name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)),
    );
    expect(missing).to.deep.equal([]);
  });
});

describe("an engine that the setup started", () => {
  const startSleeper = () => spawn("sleep", ["60"], { stdio: "ignore" });
  const isRunning = (child) => child.exitCode === null && child.signalCode === null;

  it("goes with its last user", async () => {
    const folder = newFolder();
    const engine = startSleeper();
    const other = startSleeper();
    enter(folder);
    recordEngine(engine.pid, { isKept: false }, folder);
    writeFileSync(join(folder, `user-${other.pid}.json`), userFile(folder, other.pid));

    await leave(folder);
    expect(isRunning(engine), "while another command uses it").to.equal(true);
    other.kill();
    await once(other, "exit");
    const ended = once(engine, "exit");
    await leave(folder);
    await ended;
    expect(existsSync(join(folder, "started.json"))).to.equal(false);
  });

  it("stays when it is kept, until it is taken down", async () => {
    const folder = newFolder();
    const engine = startSleeper();
    enter(folder);
    recordEngine(engine.pid, { isKept: true }, folder);
    await leave(folder);
    expect(isRunning(engine)).to.equal(true);
    expect(await endEngine(folder)).to.equal(true);
    expect(await endEngine(folder)).to.equal(false);
  });

  it("is not mistaken for a later process with its pid", async () => {
    const folder = newFolder();
    const stranger = startSleeper();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "started.json"), JSON.stringify({ pid: stranger.pid, startedAt: "1", isKept: false }));
    expect(await endEngine(folder)).to.equal(false);
    expect(isRunning(stranger)).to.equal(true);
    stranger.kill();
  });
});

describe("with-setup", () => {
  const withSetup = (...args) => {
    const child = spawn("scripts/with-setup", args, { stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    return { child, output: () => output, ended: new Promise((resolve) => child.on("close", resolve)) };
  };

  it("passes on arguments and the exit code, and keeps --yes to itself", async () => {
    const run = withSetup("sh", "-c", 'echo "$@"; exit 3', "sh", "one", "--yes", "two words");
    expect(await run.ended).to.equal(3);
    expect(run.output()).to.equal("one two words\n");
  });

  it("passes on signals, once", async () => {
    const run = withSetup("sh", "-c", 'trap "echo TERM; exit 7" TERM; echo up; while :; do sleep 0.05; done');
    run.child.stdout.once("data", () => run.child.kill("SIGTERM"));
    expect(await run.ended).to.equal(7);
    expect(run.output()).to.equal("up\nTERM\n");
  });
});

/** What another command's enter() would have written. */
function userFile(folder, pid) {
  recordEngine(pid, { isKept: false }, join(folder, "other"));
  return readFileSync(join(folder, "other", "started.json"));
}
