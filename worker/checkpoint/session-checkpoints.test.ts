import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { newCallId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { claimSession } from "../../test/support/claim-session.ts";
import { uncounted } from "../../test/support/uncounted.ts";
import { useDocker } from "../../test/support/use-docker.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { CheckpointStore } from "./checkpoint-store.ts";
import { FolderStore } from "./folder-store.ts";
import { Recovery } from "./recovery.ts";

/** Tells when something is about to be stored, and stores it once it may. */
class HeldStore extends FolderStore {
  beforePut: () => Promise<void> = async () => {};
  override async put(name: string, bytes: Buffer): Promise<void> {
    await this.beforePut();
    await super.put(name, bytes);
  }
}

describe("SessionCheckpoints", () => {
  const server = useRedis();
  const docker = useDocker();
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-store-"));
  });
  afterEach(async () => await rm(folder, { recursive: true }));

  it("store what a call changed that began while they were taking the one before", async () => {
    const { redis } = server;
    const records = new Records(redis);
    const { scripts, sid, lease, workspace } = await claimSession(redis);
    const owner = await docker.shared();
    workspace.provide(owner.sandbox);
    const objects = new HeldStore(folder);
    const store = new CheckpointStore(objects, async () => "space");
    const recovery = new Recovery(
      { redis, scripts, store, metrics: uncounted, log: silentLog },
      { durability: "idle", quietMs: 0 },
    );
    const checkpoints = recovery.checkpointsOf((await records.session(sid))!, lease, workspace);
    const change = async (mutation: number): Promise<void> => {
      const callId = newCallId(sid);
      checkpoints.callStarted(callId, mutation);
      await owner.run(`echo ${mutation} > changed`);
      await checkpoints.callEnded(callId, { result: {} });
    };
    const newest = async () => await records.newestCheckpoint((await records.session(sid))!);

    await change(1);
    const storing = new Promise<() => void>((resolve) => {
      objects.beforePut = () => new Promise((goOn) => resolve(goOn));
    });
    const first = checkpoints.takeWhenQuiet();
    const goOn = await storing;
    objects.beforePut = async () => {};
    await change(2);
    goOn();
    await first;
    expect((await newest())?.covered).to.equal(1);
    await checkpoints.takeWhenQuiet();
    expect((await newest())?.covered).to.equal(2);
  });
});
