import { expect } from "chai";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { claimSession } from "../../test/support/claim-session.ts";
import { uncounted } from "../../test/support/uncounted.ts";
import { useDocker } from "../../test/support/use-docker.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { FolderStore } from "../checkpoint/folder-store.ts";
import { Recovery } from "../checkpoint/recovery.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { VOUCHED_FOR_EVER } from "../sandbox/vouch.ts";
import { ContainerProvider } from "./container-provider.ts";
import { ContainerRemoval } from "./container-removal.ts";
import { CpuAccounts } from "./cpu-accounts.ts";
import { OwnedSession } from "./owned-session.ts";

describe("ContainerProvider", () => {
  const server = useRedis();
  const docker = useDocker();

  /** A claimed session, and what gives it a container; `spoil` gets each one before it is made ready. */
  const start = async (spoil: (sandbox: Sandbox, count: number) => Promise<void>) => {
    const { redis } = server;
    const records = new Records(redis);
    const { scripts, sid, lease, workspace } = await claimSession(redis, { memory_mb: 256 });
    const store = new CheckpointStore(new FolderStore("/nowhere"), async () => "space");
    const recovery = new Recovery(
      { redis, scripts, store, metrics: uncounted, log: silentLog },
      { durability: "none", quietMs: 0 },
    );
    const record = (await records.session(sid))!;
    const checkpoints = recovery.checkpointsOf(record, lease, workspace);
    const rest = { executors: new Map(), mayStart: () => true, principal: "ann", log: silentLog, onFenced: () => {} };
    const session = new OwnedSession(
      { scripts, records, metrics: uncounted, ...rest },
      sid,
      lease,
      workspace,
      checkpoints,
    );
    let count = 0;
    const take = async (): Promise<Sandbox> => {
      const sandbox = await docker.host.create();
      await spoil(sandbox, ++count);
      return sandbox;
    };
    const accounts = new CpuAccounts(redis, silentLog);
    const removal = new ContainerRemoval(accounts, silentLog);
    const deps = { redis, scripts, beats: { vouch: VOUCHED_FOR_EVER }, pool: { take }, recovery, removal, accounts };
    const options = { defaultImage: "", network: "none", diskMb: 64, pids: 64 };
    const provider = new ContainerProvider({ ...deps, egressEnvironment: async () => ({}), log: silentLog }, options);
    return { sid, session, provide: () => provider.provide(record, session, () => true) };
  };
  const lose = async ({ containerId }: Sandbox): Promise<void> => await docker.engine.remove(containerId);

  it("makes another container when one is lost while it is made ready", async () => {
    const { sid, session, provide } = await start(async (sandbox, count) => {
      if (count === 1) await lose(sandbox);
    });
    await provide();
    const { containerId } = await session.workspace.sandbox();
    expect(await docker.containers()).to.deep.equal([containerId]);
    expect(await server.redis.hmget(keys.session(sid), "state", "container")).to.deep.equal(["ready", containerId]);
    await session.container?.remove();
  });

  it("gives up when one after the other is lost", async () => {
    const { provide } = await start(lose);
    expect(await provide().catch((error) => error.code)).to.equal("SANDBOX_UNAVAILABLE");
  });
});
