import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";
import { freePort } from "../../compose/embedded/private-redis.ts";
import { eventually } from "../support/eventually.ts";
import { useRedis } from "../support/use-redis.ts";

const MAIN = "dist/scripts/diagnosis/main.js";

interface Diagnosis {
  code: number | null;
  text: string;
}

/** Runs the doctor, below another command where one is given. */
const diagnose = async (env: Record<string, string>, ...below: string[]): Promise<Diagnosis> => {
  const [command = process.execPath, ...args] = [...below, process.execPath, MAIN];
  return await new Promise((done) => {
    execFile(command, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      const code = error ? Number(error.code) : 0;
      done({ code, text: `${stdout}${stderr}` });
    });
  });
};

/** The finding's line and its mend. */
const expectFault = ({ code, text }: Diagnosis, check: string, seen: RegExp, mend: string): void => {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith(`WRONG  ${check}`) && seen.test(line));
  expect(at, text).to.be.at.least(0);
  expect(lines[at + 1]).to.include(`→ ${mend}`);
  expect(text).to.include("1 thing is wrong.");
  expect(code).to.equal(1);
};

describe("The doctor", function () {
  this.timeout(120_000);
  const redis = useRedis();
  let folder: string;
  let healthy: Record<string, string>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-doctor-"));
    const store = `file://${folder}/checkpoints`;
    healthy = { REDIS_URL: redis.server.url, PORT: String(await freePort()), CHECKPOINT_STORE: store };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("finds nothing wrong with a healthy machine, on one screen", async () => {
    const { code, text } = await diagnose(healthy);
    expect(code, text).to.equal(0);
    expect(text)
      .to.match(/Nothing is wrong\.\n$/)
      .and.not.to.include("WRONG");
    expect(text.split("\n").length).to.be.below(40);
  });

  it("names a Redis that may evict records", async () => {
    await redis.redis.config("SET", "maxmemory-policy", "allkeys-lru");
    const diagnosis = await diagnose(healthy);
    await redis.redis.config("SET", "maxmemory-policy", "noeviction");
    expectFault(
      diagnosis,
      "Redis eviction",
      /allkeys-lru/,
      'redis-cli -u "$REDIS_URL" config set maxmemory-policy noeviction',
    );
  });

  it("names an image that is missing", async () => {
    const missing = "codegen-mcp.invalid/missing:1";
    expectFault(
      await diagnose({ ...healthy, SANDBOX_IMAGE: missing }),
      "image",
      /is not on this engine/,
      `docker pull ${missing}`,
    );
    const named = { SANDBOX_IMAGES: `ruby=${missing}`, SANDBOX_IMAGE: "ruby" };
    expectFault(await diagnose({ ...healthy, ...named }), "image", /missing:1/, `docker pull ${missing}`);
  });

  it("names a clock that is off", async () => {
    const diagnosis = await diagnose(healthy, "faketime", "--exclude-monotonic", "-f", "+90s");
    expectFault(diagnosis, "clock", /(89|90|91)\.\d s ahead of Redis's/, "sudo timedatectl set-ntp true");
  });

  it("names a port that another program has", async () => {
    const taken: Server = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const diagnosis = await diagnose({ ...healthy, PORT: String(port) });
    taken.close();
    expectFault(diagnosis, "port", /another program's/, `ss -ltnp "sport = :${port}"`);
  });

  it("names control groups that are not those of the engine", async () => {
    // In a mount namespace of its own: the other version than the engine's.
    const script = `if [ -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/memory
      else mount -t cgroup2 none /sys/fs/cgroup; fi && exec "$@"`;
    const diagnosis = await diagnose(healthy, "unshare", "--mount", "sh", "-ec", script, "sh");
    expectFault(diagnosis, "cgroups", /the engine uses v\d.* holds v\d/, "sudo systemctl restart docker");
  });

  it("names a replica of another version", async () => {
    // A real worker, as it was installed once: its own package.json says which version.
    const old = join(folder, "old");
    await mkdir(old);
    for (const part of ["worker", "shared", "proto"])
      await cp(join("dist", part), join(old, "dist", part), { recursive: true });
    await symlink(resolve("node_modules"), join(old, "node_modules"));
    const manifest = JSON.parse(await readFile("package.json", "utf8")) as object;
    await writeFile(join(old, "package.json"), JSON.stringify({ ...manifest, version: "0.0.9" }));
    const env = {
      ...process.env,
      REDIS_URL: redis.server.url,
      DEPLOYMENT: "doctor",
      POOL_SIZE: "0",
      RUN_DIR: join(folder, "run"),
    };
    const worker = spawn(process.execPath, ["dist/worker/main.js"], { cwd: old, env, stdio: "ignore" });
    const id = await eventually("it is registered", async () => (await redis.redis.smembers("cg:workers"))[0]);
    await eventually("it says its version", () => redis.redis.hexists(`cg:worker:${id}`, "version"));
    const diagnosis = await diagnose(healthy);
    worker.kill("SIGINT");
    await once(worker, "exit");
    expect(diagnosis.text)
      .to.match(/version 0\.0\.9, this is /)
      .and.to.include(`→ scripts/drain ${id}, then`);
    expect(diagnosis.code).to.equal(1);
  });

  it("names a disk that is full", async () => {
    const disk = join(folder, "disk");
    // A disk of 64 MiB, with nothing left on it.
    const script = `mkdir "$1" && mount -t tmpfs -o size=64m none "$1" && head -c 64m /dev/zero >"$1/full" 2>/dev/null || true; shift; exec "$@"`;
    const store = { CHECKPOINT_STORE: `file://${disk}` };
    const diagnosis = await diagnose({ ...healthy, ...store }, "unshare", "--mount", "sh", "-ec", script, "sh", disk);
    expectFault(diagnosis, "disk", /^WRONG {2}disk .* 0 MiB free for checkpoints/, `du -xh ${disk} | sort -h`);
  });

  it("names a user who may not use Docker", async () => {
    // A socket of somebody else's, which root may open only by a capability that is taken away here.
    const path = join(folder, "docker.sock");
    const server = createServer().listen(path);
    await once(server, "listening");
    const script = `chown 65534:65534 "$1"; chmod 600 "$1"; shift; exec setpriv --bounding-set=-dac_override --inh-caps=-dac_override "$@"`;
    const diagnosis = await diagnose({ ...healthy, DOCKER_HOST: `unix://${path}` }, "sh", "-ec", script, "sh", path);
    server.close();
    expectFault(diagnosis, "Docker rights", /may not use unix:.*docker\.sock/, 'sudo usermod -aG docker "$USER"');
  });
});
