import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { expect } from "chai";
import Docker from "dockerode";
import { chooseTargets, hashInputs } from "./build-context.ts";
import { followEvents } from "./engine-events.ts";
import { aptFiles, aptOptions } from "./host-apt.ts";
import { findBuilt } from "./image-build.ts";
import { fetchPackage } from "./npm-packages.ts";

const run = promisify(execFile);

describe("sandbox images", () => {
  const docker = new Docker();
  let python: string;
  let agent: string;

  before(async () => {
    const { version } = JSON.parse(await readFile("package.json", "utf8"));
    python = `codegen-mcp/python:${version}`;
    agent = `codegen-mcp/agent:${version}`;
  });

  it("are built from what the repository holds now", async () => {
    expect((await findBuilt(docker, python))?.inputs).to.equal(await hashInputs("python"));
    expect((await findBuilt(docker, agent))?.inputs).to.equal(await hashInputs("agent"));
    expect(await findBuilt(docker, "codegen-mcp/none:0")).to.equal(undefined);
  });

  it("are left alone by a second build", async () => {
    const before = await docker.getImage(python).inspect();
    const { stdout } = await run("scripts/build-images");
    expect(stdout).to.include(`${python} is up to date`).and.to.include(`${agent} is up to date`);
    expect((await docker.getImage(python).inspect()).Id).to.equal(before.Id);
  });

  it("offer the tools a session needs, to a user without rights, on a read-only root", async () => {
    const output = await runInSandbox(
      "id -u && node --version && npm --version && python --version && pytest --version && pip --version && " +
        "rg --version && git --version && ps --version && python -m venv v && v/bin/pip --version && " +
        "(find / -xdev -type f -perm /6000 2>/dev/null | wc -l)",
    );
    expect(output).to.match(/^1000\n/);
    expect(output).to.match(/\n0\n$/, "no file is setuid or setgid");
  });

  it("have their locale where programs find it with one look", async () => {
    const output = await runInSandbox(
      "localedef --list-archive; python -c 'import locale; print(locale.setlocale(0, str()))'",
    );
    expect(output).to.equal("C.utf8\nC.UTF-8\n");
  });

  it("bring an agent volume whose Node runs but cannot be read", async () => {
    const output = await runInSandbox(
      "/opt/codegen/node --version; head -c1 /opt/codegen/node >/dev/null 2>&1; echo $?; test -x /opt/codegen/init; echo $?",
    );
    expect(output).to.match(/^v22\..*\n1\n0\n$/);
  });

  /** Output of one command in the python image, under the hardening that sessions have. */
  async function runInSandbox(script: string): Promise<string> {
    const volume = `codegen-images-test-${process.pid}`;
    // Docker fills an empty volume from the image of the first container that has it writable, started or not.
    const filler = await docker.createContainer({ Image: agent, HostConfig: { Binds: [`${volume}:/opt/codegen`] } });
    const container = await docker.createContainer({
      Image: python,
      Cmd: ["sh", "-c", script],
      Labels: { "codegen-mcp.test": "images" },
      NetworkDisabled: true,
      Tty: true,
      HostConfig: {
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        ReadonlyRootfs: true,
        Tmpfs: { "/home/dev": "exec,uid=1000,gid=1000", "/tmp": "" },
        Mounts: [{ Type: "volume", Source: volume, Target: "/opt/codegen", ReadOnly: true }],
      },
    });
    try {
      const stream = await container.attach({ stream: true, stdout: true });
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      await container.start();
      await container.wait();
      return Buffer.concat(chunks).toString().replaceAll("\r\n", "\n");
    } finally {
      await filler.remove({ force: true });
      await container.remove({ force: true });
      await docker.getVolume(volume).remove();
    }
  }
});

describe("build-images", () => {
  it("builds what every session needs, and what it is told", () => {
    expect(chooseTargets([])).to.deep.equal(["agent", "python"]);
    expect(chooseTargets(["polyglot"])).to.deep.equal(["agent", "python", "polyglot"]);
    expect(chooseTargets(["all"])).to.deep.equal(["agent", "python", "node", "polyglot"]);
    expect(() => chooseTargets(["ruby"])).to.throw('There is no image "ruby"');
  });
});

describe("host apt settings", () => {
  const plain = { sources: ["deb http://mirror.example/debian bookworm main"], settings: ['Acquire::Retries "3";'] };

  it("become files for /etc/apt of the build", () => {
    const files = aptFiles({ ...plain, caFile: undefined });
    expect(files.get("sources.list")).to.equal("deb http://mirror.example/debian bookworm main\n");
    expect([...files.keys()]).to.not.include("host-ca.crt");
  });

  it("bring the host's trust store where a mirror is https", async () => {
    const caFile = join(await mkdtemp(join(tmpdir(), "codegen-apt-")), "ca.crt");
    await writeFile(caFile, "certificates");
    expect(aptFiles({ ...plain, caFile }).get("host-ca.crt")).to.equal("certificates");
    expect(aptFiles({ ...plain, caFile }).get("apt.conf.d/host")).to.include("/etc/apt/host-ca.crt");
    expect(aptOptions({ ...plain, caFile })).to.include(`Acquire::https::CAInfo "${caFile}";`);
  });

  it("leave the base's own sources where the host has none", () => {
    expect([...aptFiles({ sources: [], settings: [], caFile: undefined }).keys()]).to.deep.equal(["apt.conf.d/host"]);
  });
});

describe("the engine's event stream", () => {
  it("is read across chunk borders, and ends with the failure it reports", async () => {
    const statuses: (string | undefined)[] = [];
    const stream = Readable.from(['{"status":"a"}\r\n{"sta', 'tus":"b"}\n{"error":"no space"}\n']);
    const failure = await followEvents(stream, (event) => statuses.push(event.status)).catch((error) => error);
    expect(statuses).to.deep.equal(["a", "b"]);
    expect(failure).to.be.an("error").with.property("message", "no space");
  });
});

describe("pinned npm packages", () => {
  it("are refused when they are not pinned", async () => {
    const failure = await fetchPackage("worker/images/npm-packages.json", "left-pad", tmpdir()).catch((error) => error);
    expect(failure).to.be.an("error").with.property("message").that.includes("does not pin it");
  });

  it("are taken from the cache when their hash is the pinned one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "codegen-pins-"));
    const pins = join(folder, "pins.json");
    await writeFile(join(folder, "some-1.0.0.tgz"), "content");
    const integrity = `sha512-${createHash("sha512").update("content").digest("base64")}`;
    await writeFile(pins, JSON.stringify({ some: { version: "1.0.0", integrity } }));
    expect(await fetchPackage(pins, "some", folder)).to.equal(join(folder, "some-1.0.0.tgz"));
  });
});
