import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { checkpointFields } from "../../shared/checkpoint-record.ts";
import { type CheckpointId, newCheckpointId, newSessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { SessionScripts } from "../../shared/redis/session-scripts.ts";
import { claimSession } from "../../test/support/claim-session.ts";
import type { TestSandbox } from "../../test/support/test-sandbox.ts";
import { uncounted } from "../../test/support/uncounted.ts";
import { useDocker } from "../../test/support/use-docker.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { CheckpointStore } from "./checkpoint-store.ts";
import { FolderStore } from "./folder-store.ts";
import { Lineage } from "./lineage.ts";
import { Recovery } from "./recovery.ts";
import { writeCheckpoint } from "./write-checkpoint.ts";

describe("Recovery from a store that is away", () => {
  const server = useRedis();
  const docker = useDocker();
  let owner: TestSandbox;
  let folder = "";
  let store: CheckpointStore;
  before(async () => {
    owner = await docker.shared();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-store-"));
    await mkdir(join(folder, "store"));
    store = new CheckpointStore(new FolderStore(join(folder, "store")), async () => "space");
  });
  afterEach(async () => await rm(folder, { recursive: true }));

  /** A session that is to come back with a file `kept`; `fill` brings it back, waiting for the store so long. */
  const lost = async (storeWaitMs: number): Promise<{ fill: () => Promise<void> }> => {
    const { redis } = server;
    const [scripts, records, sid] = [new SessionScripts(redis), new Records(redis), newSessionId()];
    await owner.run("echo kept > kept");
    const { layers, objects, generation, number, files, bytes } = await writeCheckpoint(
      owner.sandbox,
      store,
      new Lineage(),
    );
    await owner.run("rm kept");
    const id = newCheckpointId(sid) as CheckpointId;
    const facts = { principal: "ann", sessionId: sid, name: "", createdAt: Date.now(), files, bytes, storedBytes: 0 };
    const rest = { layers, objects: [...objects], generation, scan: String(number), covered: 0 };
    await scripts.pinCheckpoint(sid, id, checkpointFields({ id, ...facts, ...rest }));
    const { lease, workspace } = await claimSession(redis, { memory_mb: 256, checkpoint: id }, sid);
    const options = { durability: "idle" as const, quietMs: 0, storeWaitMs };
    const recovery = new Recovery({ redis, scripts, store, metrics: uncounted, log: silentLog }, options);
    const record = (await records.session(sid))!;
    const checkpoints = recovery.checkpointsOf(record, lease, workspace);
    return { fill: () => recovery.fill(owner.sandbox, record, checkpoints) };
  };
  const takeAway = async (): Promise<() => Promise<void>> => {
    const [there, away] = [join(folder, "store"), join(folder, "away")];
    await rename(there, away);
    await writeFile(there, ""); // reads fail; they do not find nothing
    return async () => {
      await rm(there);
      await rename(away, there);
    };
  };

  it("waits for it, and brings the files back once it is there", async () => {
    const { fill } = await lost(60_000);
    const bringBack = await takeAway();
    const filling = fill();
    filling.catch(() => {});
    await owner.run("sleep 1"); // at least one attempt fails
    await bringBack();
    await filling;
    expect((await owner.run("cat kept")).stdout).to.equal("kept\n");
  });

  it("gives up in the end, and says why", async () => {
    const { fill } = await lost(1_000);
    await takeAway();
    expect(await fill().catch((error) => error.code)).to.equal("STORE_UNAVAILABLE");
  });
});
