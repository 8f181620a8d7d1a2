import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { newSessionId, type SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { StoreIdentity } from "../../shared/redis/store-identity.ts";
import { AGENT_IMAGE, useDocker } from "../../test/support/use-docker.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { LABELS } from "../sandbox/container-spec.ts";
import { RUN_FOLDER_SIGN } from "../sandbox/sandbox-host.ts";
import { OrphanSweeper } from "./orphan-sweeper.ts";

class SteppedSweeper extends OrphanSweeper {
  /** What is removed at all is removed now: it was found twice. */
  async sweep(): Promise<void> {
    await this.pass();
    await this.pass();
  }
}

describe("OrphanSweeper", () => {
  const server = useRedis();
  const docker = useDocker();
  let store: StoreIdentity;
  let names = 0;
  let isBusy = false;

  const sweeper = (orphanAgeMs = 600_000): SteppedSweeper =>
    new SteppedSweeper(
      { redis: server.redis, store, engine: docker.engine, host: docker.host, isBusy: () => isBusy, log: silentLog },
      { deployment: docker.deployment, worker: "w_test", runFolders: docker.runFolder, everyMs: 60_000, orphanAgeMs },
    );
  const labels = (worker: string) => ({
    [LABELS.deployment]: docker.deployment,
    [LABELS.store]: store.id,
    [LABELS.worker]: worker,
  });
  const make = async (worker: string, name = `codegen-mcp-pool-${docker.deployment}-${names++}`): Promise<string> =>
    await docker.engine.create({ name, Image: AGENT_IMAGE, Labels: labels(worker) });
  const left = async (): Promise<string[]> => await docker.containers();
  const removeAll = async (): Promise<void> => {
    for (const id of await left()) await docker.engine.remove(id);
  };
  const ended = (worker: string) => server.redis.zadd(keys.endedWorkers, Date.now(), worker);
  const own = async (sid: SessionId, fields: Record<string, string>): Promise<void> => {
    await server.redis.hset(keys.session(sid), { state: "ready", owner: "w_new", epoch: "2", ...fields });
  };

  beforeEach(async () => {
    store = new StoreIdentity(server.redis, docker.deployment);
    await store.establish();
  });

  it("removes what an ended worker left, and its folder once no container uses it", async () => {
    const folder = join(docker.runFolder, "w_dead");
    await mkdir(join(folder, "slot"), { recursive: true });
    await writeFile(join(folder, RUN_FOLDER_SIGN), store.id);
    await make("w_dead");
    await ended("w_dead");
    await sweeper().sweep();
    expect(await left()).to.deep.equal([]);
    await sweeper().sweep();
    expect(existsSync(folder)).to.equal(false);
  });

  it("waits while sessions come back", async () => {
    await make("w_dead");
    await ended("w_dead");
    isBusy = true;
    await sweeper().sweep();
    expect(await left()).to.have.length(1);
    isBusy = false;
    await sweeper().sweep();
    expect(await left()).to.deep.equal([]);
  });

  it("removes nothing that was found only once", async () => {
    await make("w_dead");
    await ended("w_dead");
    const sweeping = sweeper();
    await (sweeping as unknown as { pass(): Promise<void> }).pass();
    expect(await left()).to.have.length(1);
    await removeAll();
  });

  it("keeps what an ended worker handed over, whoever's label it bears", async () => {
    const sid = newSessionId();
    const id = await make("w_dead", `codegen-mcp-${sid}-1`);
    await own(sid, { container: id });
    await ended("w_dead");
    await sweeper(1).sweep();
    expect(await left()).to.deep.equal([id]);
    await removeAll();
  });

  it("removes a container whose session went on in another epoch, or is closed", async () => {
    const [lost, closed] = [newSessionId(), newSessionId()];
    await server.redis.sadd(keys.workers, "w_old");
    await make("w_old", `codegen-mcp-${lost}-1`);
    await make("w_old", `codegen-mcp-${closed}-2`);
    await own(lost, { container: "another" });
    await own(closed, { state: "closed", owner: "" });
    await sweeper().sweep();
    expect(await left()).to.deep.equal([]);
  });

  it("keeps what a live worker has, and what nobody knows until it is old", async () => {
    await server.redis.sadd(keys.workers, "w_live");
    const ids = [await make("w_live"), await make("w_never_recorded")];
    await sweeper().sweep();
    expect(await left()).to.have.members(ids);
    await sweeper(1).sweep();
    expect(await left()).to.deep.equal([ids[0]]);
    await removeAll();
  });

  it("removes networks and old agent volumes of an ended worker that nobody uses", async () => {
    const Name = `codegen-mcp-test-${docker.deployment}`;
    await docker.docker.createNetwork({ Name, Labels: labels("w_dead") });
    const [unused, mounted] = [`codegen-mcp-agent-unused-${names++}`, `codegen-mcp-agent-mounted-${names++}`];
    for (const volume of [unused, mounted]) await docker.engine.createVolume(volume, labels("w_dead"));
    await server.redis.sadd(keys.workers, "w_live");
    const Mounts = [{ Type: "volume" as const, Source: mounted, Target: "/x" }];
    await docker.engine.create({ name: mounted, Image: AGENT_IMAGE, Labels: labels("w_live"), HostConfig: { Mounts } });
    await ended("w_dead");
    await sweeper().sweep();
    expect(await docker.engine.networks(labels("w_dead"))).to.deep.equal([]);
    expect((await docker.engine.volumes(labels("w_dead"))).map(({ name }) => name)).to.deep.equal([mounted]);
    await removeAll();
    await docker.engine.removeVolume(mounted);
  });

  const betrayals: [string, () => Promise<unknown>][] = [
    ["was emptied", () => server.redis.flushall()],
    [
      "was emptied and is used by a new worker of ours",
      async () => {
        await server.redis.flushall();
        await new StoreIdentity(server.redis, docker.deployment).establish();
        await ended("w_dead");
      },
    ],
    ["is another deployment's", () => server.redis.set(keys.store, `other ${store.id}`)],
  ];
  for (const [what, betray] of betrayals) {
    it(`removes nothing when Redis ${what}`, async () => {
      const folder = join(docker.runFolder, "w_dead");
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, RUN_FOLDER_SIGN), store.id);
      const ids = [await make("w_dead"), await make("w_unknown")];
      await ended("w_dead");
      const before = sweeper(1);
      await betray();
      await before.sweep();
      const restarted = new StoreIdentity(server.redis, docker.deployment);
      await restarted.establish();
      store = restarted;
      await sweeper(1).sweep();
      expect(await left()).to.have.members(ids);
      expect(existsSync(folder)).to.equal(true);
      await removeAll();
    });
  }
});
