import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { keys } from "../../shared/redis/keys.ts";
import { eventually } from "../../test/support/eventually.ts";
import { useRedis } from "../../test/support/use-redis.ts";

const WORKER = "w_test";
/** A main loop that never turns again ends after 30/9 of it. */
const LEASE_MS = 900;

const MAIN = fileURLToPath(new URL("../../test/support/beating-process.js", import.meta.url));

describe("A worker's beats", () => {
  const server = useRedis();
  let child: ChildProcess;
  beforeEach(() => {
    child = spawn(process.execPath, [MAIN, server.server.url, WORKER, String(LEASE_MS)], {
      stdio: ["pipe", "inherit", "inherit"],
    });
  });
  afterEach(() => child.kill("SIGKILL"));

  const beat = async (): Promise<number> => Number(await server.redis.hget(keys.worker(WORKER), "beat"));

  it("go on while the main loop is busy; one that turns no more ends the process", async () => {
    await eventually("it beats", async () => (await beat()) > 0);
    const ended = once(child, "exit");
    child.stdin?.write("block");
    const before = await beat();
    await eventually("it beats all the same", async () => (await beat()) > before + 5);
    expect((await ended)[1]).to.equal("SIGKILL");
  });

  it("end with it, and say so", async () => {
    await eventually("it beats", async () => (await beat()) > 0);
    const ended = once(child, "exit");
    child.stdin?.write("stop");
    expect((await ended)[0]).to.equal(0);
    expect(await server.redis.sismember(keys.workers, WORKER)).to.equal(0);
    expect(await server.redis.exists(keys.worker(WORKER))).to.equal(0);
    expect(await server.redis.zscore(keys.endedWorkers, WORKER)).not.to.equal(null);
  });
});
