import { expect } from "chai";
import Docker from "dockerode";
import { eventually } from "../support/eventually.ts";
import { usePackageIndex } from "../support/package-index.ts";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { removeContainer, useCluster } from "../support/use-cluster.ts";

const docker = new Docker();
type Row = Record<string, string>;
/** A machine that does much else may take as long. */
const LONG_MS = 120_000;

describe("install_packages", function () {
  this.timeout(180_000);
  const packages = usePackageIndex((index) => {
    index.addWheel("alpha", "1.0", { needs: ["delta"] });
    index.addWheel("alpha", "2.0", { needs: ["delta"] });
    index.addWheel("delta", "3.0");
    index.addWheel("epsilon", "1.0");
    index.addWheel("broken", "1.0", { content: Buffer.from("not what the index says") });
    index.addNpm("left", "1.0.0");
    index.addNpm("left", "1.1.0");
    index.addNpm("@scope/right", "2.0.0");
    index.addNpm("spoilt", "1.0.0", { content: Buffer.from("not what the registry says") });
  });
  const cluster = useCluster(() => ({
    ALLOW_EGRESS: "true",
    TOOLSETS: "codegen-mcp",
    POOL_SIZE: "1",
    ...packages.index.settings,
    PACKAGE_CACHE_DIR: `${packages.index.folder}/cache`,
  }));
  let client: ToolClient;
  let session: string;
  before(async () => {
    client = await connectModern(cluster.url);
    session = await create({ network: "egress" });
  });
  after(async () => {
    await client.close();
  });

  /** Waits for the end however long it takes. */
  const call = async (tool: string, args: Record<string, unknown>): Promise<ToolAnswer> => {
    const answer = await client.call(tool, tool === "create_session" ? args : { session_id: session, ...args });
    if (answer.structured.status !== "running" || !answer.structured.call_id) return answer;
    const { structured } = await client.call("get_call", { call_id: answer.structured.call_id, wait_ms: 50_000 });
    return { ...answer, structured: (structured.result ?? structured.failure) as Record<string, unknown> };
  };
  const create = async (args: Record<string, unknown>): Promise<string> => {
    const { structured, text } = await call("create_session", args);
    if (typeof structured.session_id !== "string") throw new Error(text);
    return structured.session_id;
  };
  const install = (args: Record<string, unknown>): Promise<ToolAnswer> =>
    call("install_packages", { wait_ms: 50_000, ...args });
  const run = async (command: string): Promise<string> => {
    const { structured } = await call("run_command", { command, wait_ms: 50_000 });
    return `${structured.stdout}${structured.stderr}`.trim();
  };

  it("installs with pip what the image's own interpreter then sees, and says the versions", async () => {
    const told: string[] = [];
    const args = { session_id: session, packages: ["alpha==1.0", "Delta"], wait_ms: 50_000 };
    const onText = (output: string): void => void told.push(output);
    const { structured, text, isError } = await client.call("install_packages", args, { onText });
    expect(isError, text).to.equal(false);
    expect(structured).to.include({ status: "installed", manager: "pip" });
    expect(structured.installed).to.deep.equal([
      { name: "alpha", version: "1.0" },
      { name: "delta", version: "3.0" },
    ]);
    expect(structured.failed).to.deep.equal([]);
    expect(text).to.equal("pip: installed\nalpha 1.0\ndelta 3.0");
    expect(told.join("\n"), "as it went").to.include("Collecting alpha==1.0");
    expect(await run('cd / && python3 -c "import alpha, delta; print(alpha.VERSION, delta.VERSION)"')).to.equal(
      "1.0 3.0",
    );
  });

  it("installs the others when one fails, and says why that one did", async () => {
    const { structured, text, isError } = await install({ packages: ["alpha>=2", "absent-package", "broken"] });
    expect(isError).to.equal(false);
    expect(structured).to.include({ status: "partly_installed" });
    expect(structured.installed).to.deep.equal([{ name: "alpha", version: "2.0" }]);
    const [absent, broken] = structured.failed as Row[];
    expect(absent).to.include({ name: "absent-package" });
    expect(absent?.reason).to.match(/No matching distribution found for absent-package/);
    expect(broken).to.include({ name: "broken" });
    expect(broken?.reason).to.match(/502.* has sha256 [0-9a-f]{64}, not/);
    expect(text).to.match(/^pip: only some were installed\nalpha 2\.0\nfailed: absent-package: /);
  });

  it("installs into the project's own virtual environment where it has one", async () => {
    await run("python3 -m venv --without-pip --system-site-packages .venv");
    const { structured } = await install({ packages: ["epsilon"] });
    expect(structured.installed).to.deep.equal([{ name: "epsilon", version: "1.0" }]);
    expect(await run('.venv/bin/python -c "import epsilon; print(epsilon.__file__)"')).to.match(/workspace\/\.venv\//);
    await run("rm -rf .venv");
  });

  it("installs with npm into the project, whose lock file names no address of ours", async () => {
    const { structured, text } = await install({ packages: ["left@1.0.0", "@scope/right"] });
    expect(structured).to.include({ status: "installed", manager: "npm" });
    expect(structured.installed).to.deep.equal([
      { name: "left", version: "1.0.0" },
      { name: "@scope/right", version: "2.0.0" },
    ]);
    expect(text).to.equal("npm: installed\nleft 1.0.0\n@scope/right 2.0.0");
    expect(await run("grep -c http package-lock.json; node -p 'require(\"left\").version'")).to.equal("0\n1.0.0");
    const more = (await install({ packages: ["left@^1.1", "absent-package", "spoilt"] })).structured;
    expect(more).to.include({ status: "partly_installed", manager: "npm" });
    expect(more.installed).to.deep.equal([{ name: "left", version: "1.1.0" }]);
    const [absent, spoilt] = more.failed as Row[];
    expect(absent?.reason).to.match(/^E404: /);
    expect(spoilt?.reason).to.match(/^E502: .* has sha512 [0-9a-f]{128}, not/);
    await run("rm -rf package.json package-lock.json node_modules");
  });

  it("refuses what is no name, mixed kinds and too many, before anything runs", async () => {
    const cases = [
      { packages: ["--index-url=http://x", "six"] },
      { packages: ["./six"] },
      { packages: ["git+https://x/six"], manager: "pip" },
      { packages: ["six==1", "left@1"] },
      { packages: [] },
      { packages: Array.from({ length: 51 }, (_, i) => `p${i}`) },
      { packages: ["x".repeat(201)] },
      { packages: ["six"], manager: "cargo" },
      {},
    ];
    const before = packages.index.requests.length;
    for (const args of cases)
      expect(failureOf(await install(args)), JSON.stringify(args).slice(0, 80)).to.equal("INVALID_ARGUMENT");
    const { structured } = await install({ packages: ["six ; touch owned"] });
    expect(structured.hint).to.match(/options, paths and URLs are refused/);
    expect(await run("ls")).to.equal("");
    expect(packages.index.requests.length).to.equal(before);
  });

  it("asks which manager is meant where the project has both", async () => {
    await run("touch requirements.txt; echo '{}' > package.json");
    expect(failureOf(await install({ packages: ["delta"] }))).to.equal("INVALID_ARGUMENT");
    expect((await install({ packages: ["delta"], manager: "pip" })).structured).to.include({ status: "installed" });
    await run("rm requirements.txt package.json");
  });

  it("answers after its wait and goes on; its process can be killed", async () => {
    packages.index.hold();
    const { structured } = await client.call("install_packages", {
      session_id: session,
      packages: ["gamma"],
      wait_ms: 500,
    });
    expect(structured).to.include({ status: "running" });
    const { structured: killed } = await client.call("kill_process", {
      session_id: session,
      process_id: structured.process_id,
    });
    expect(killed.status).to.equal("killed");
    packages.index.release();
    const { structured: call } = await client.call("get_call", { call_id: structured.call_id, wait_ms: 50_000 });
    const result = call.result as Record<string, unknown>;
    expect(result).to.include({ status: "killed", manager: "pip" });
    expect(result.failed).to.deep.equal([{ name: "gamma", reason: "It was not done when the call ended" }]);
  });

  it("lets sessions read the cache and nothing else: what one tries does not reach the next", async () => {
    const poison = `import os, urllib.request as u
base = os.environ["PIP_INDEX_URL"]
page = u.urlopen(base + "alpha/").read().decode()
for method in ("PUT", "POST", "DELETE"):
    for path in ("alpha/", "alpha/alpha-2.0-py3-none-any.whl"):
        try: u.urlopen(u.Request(base + path, data=b"poison", method=method)); print("took", method, path)
        except u.HTTPError as e: print(e.code)`;
    expect(await run(`python3 - <<'END'\n${poison}\nEND`)).to.equal(Array(6).fill("405").join("\n"));
    const asked = packages.index.requests.filter((path) => path.includes("alpha-2.0")).length;
    const other = await create({ network: "egress" });
    const { structured } = await client.call("install_packages", {
      session_id: other,
      packages: ["alpha"],
      wait_ms: 50_000,
    });
    expect(structured.installed).to.deep.equal([{ name: "alpha", version: "2.0" }]);
    const seen = "python3 -c 'import alpha; print(alpha.VERSION)'";
    expect((await client.call("run_command", { session_id: other, command: seen })).structured.stdout).to.equal(
      "2.0\n",
    );
    expect(
      packages.index.requests.filter((path) => path.includes("alpha-2.0")),
      "fetched once for all",
    ).to.have.length(asked);
    await client.call("close_session", { session_id: other });
  });

  it("leaves a session without a network and without rights: only the proxy leads out", async () => {
    const { HostConfig } = await docker.getContainer(await cluster.containerOf(session)).inspect();
    expect(HostConfig).to.deep.include({ NetworkMode: "none", CapDrop: ["ALL"], ReadonlyRootfs: true });
    expect(await run("tail -n +3 /proc/net/dev | cut -d: -f1")).to.equal("lo");
  });

  it("is not there without egress, which a session must ask for", async () => {
    const plain = await create({});
    const answer = await client.call("install_packages", { session_id: plain, packages: ["delta"] });
    expect(failureOf(answer)).to.equal("NETWORK_DISABLED");
    expect(answer.structured.hint).to.match(/create_session and network "egress"/);
    const named = await client.call("pkg.install", { session_id: plain, packages: "delta" });
    expect([named.isError, named.structured.code]).to.deep.equal([true, "NETWORK_DISABLED"]);
    const route = await client.call("run_command", { session_id: plain, command: "tail -n +2 /proc/net/route" });
    expect(route.structured.stdout).to.equal("");
    await client.call("close_session", { session_id: plain });
  });

  it("is what CodeGen-MCP's pkg.install does", async () => {
    const args = { session_id: session, packages: " delta  alpha==1.0 absent-package" };
    const first = await client.call("pkg.install", args);
    const result = async (): Promise<ToolAnswer | undefined> => {
      if (!first.text.startsWith("{")) return first;
      const { task_id } = JSON.parse(first.text) as { task_id: string };
      const answer = await client.call("task.get_result", { task_id });
      return answer.text.startsWith("{") ? undefined : answer;
    };
    const { text, isError } = await eventually("it is done", result, LONG_MS);
    expect(isError).to.equal(false);
    expect(text).to.match(
      /^pip: only some were installed\ndelta 3\.0\nalpha 1\.0\nfailed: absent-package: .*No matching/s,
    );
  });

  it("goes on in the same container after its worker was restarted, through the cache of the next one", async () => {
    const container = await cluster.containerOf(session);
    const worker = async () => (await client.call("get_session", { session_id: session })).structured.worker;
    const before = await worker();
    await cluster.stack.restartWorker(cluster.stack.workers.at(-1)!);
    await eventually("the next worker has the session", async () => (await worker()) !== before, LONG_MS);
    await run("pip uninstall -y delta");
    expect((await install({ packages: ["delta"] })).structured).to.include({ status: "installed" });
    expect(await cluster.containerOf(session)).to.equal(container);
  });

  it("comes with the same network after the container was lost, and in a fork", async () => {
    await removeContainer(await cluster.containerOf(session));
    const goesOn = async (): Promise<boolean> =>
      (await install({ packages: ["delta"] })).structured.status === "installed";
    await eventually("the session goes on", goesOn, LONG_MS);
    const { structured } = await client.call("fork_session", { session_id: session });
    const [forked] = structured.session_ids as string[];
    const again = await client.call("install_packages", { session_id: forked, packages: ["delta"], wait_ms: 50_000 });
    expect(again.structured).to.include({ status: "installed" });
    await client.call("close_session", { session_id: forked });
  });
});

describe("Egress where the operator does not allow it", function () {
  this.timeout(120_000);
  const cluster = useCluster();

  it("is refused when a session is made", async () => {
    const client = await connectModern(cluster.url);
    const answer = await client.call("create_session", { network: "egress", idempotency_key: "egress" });
    expect(failureOf(answer)).to.equal("NETWORK_DISABLED");
    expect(answer.structured.hint).to.match(/ALLOW_EGRESS=true/);
    expect(failureOf(await client.call("create_session", { network: "host" }))).to.equal("INVALID_ARGUMENT");
    await client.close();
  });
});
