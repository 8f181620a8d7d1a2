import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { newCheckpointId, newSessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { StoreIdentity } from "../../shared/redis/store-identity.ts";
import { silentLog, useRedis } from "../../test/support/use-redis.ts";
import { CheckpointStore } from "./checkpoint-store.ts";
import { CheckpointSweeper } from "./checkpoint-sweeper.ts";
import { FolderStore } from "./folder-store.ts";

const GRACE_MS = 60_000;

describe("CheckpointSweeper", () => {
  const server = useRedis();
  let folder = "";
  let identity: StoreIdentity;
  let store: CheckpointStore;
  let sweeper: CheckpointSweeper;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-store-"));
    identity = new StoreIdentity(server.redis, "test");
    await identity.establish();
    store = new CheckpointStore(new FolderStore(folder), async () => identity.id);
    const deps = { redis: server.redis, identity, store, log: silentLog };
    sweeper = new CheckpointSweeper(deps, { worker: "w_one", everyMs: 60_000, graceMs: GRACE_MS });
  });
  afterEach(async () => await rm(folder, { recursive: true }));

  const age = async (path: string): Promise<void> => {
    const then = (Date.now() - 2 * GRACE_MS) / 1000;
    await utimes(path, then, then);
  };
  const object = async (content: string): Promise<string> => {
    const name = await store.put(Buffer.from(content));
    await age(join(folder, identity.id, name.slice(0, 2), name.slice(2)));
    return name;
  };
  const names = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { object: name } of store.list()) found.push(name ?? "none");
    return found.sort();
  };
  const checkpoint = async (...objects: string[]): Promise<string> => {
    const sid = newSessionId();
    const id = newCheckpointId(sid);
    await server.redis.zadd(keys.allCheckpoints, Date.now() - 2 * GRACE_MS, id);
    await server.redis.hset(keys.checkpoint(sid, id), { objects: objects.join(" "), deleted: 1 });
    return keys.checkpoint(sid, id);
  };

  it("deletes what no checkpoint needs, once two passes found it so, and nothing that is young or needed", async () => {
    const [needed, unneeded] = [await object("needed"), await object("unneeded")];
    const young = await store.put(Buffer.from("young"));
    const half = join(folder, identity.id, young.slice(0, 2), "x.tmp");
    await writeFile(half, "half");
    await age(half);
    const record = await checkpoint(needed);
    expect(await sweeper.sweep(), "not at first sight").to.equal(0);
    expect(await sweeper.sweep()).to.equal(2);
    expect(await names()).to.deep.equal([needed, young].sort());
    await server.redis.del(record);
    await sweeper.sweep();
    expect(await sweeper.sweep()).to.equal(1);
    expect(await names()).to.deep.equal([young]);
    expect(await server.redis.zcard(keys.allCheckpoints), "its id is forgotten").to.equal(0);
    expect(unneeded).to.be.a("string");
  });

  it("spares what was written again after it was found", async () => {
    await object("again");
    await sweeper.sweep();
    await store.put(Buffer.from("again"));
    expect(await sweeper.sweep()).to.equal(0);
    expect(await names()).to.have.length(1);
  });

  it("deletes nothing on the word of a Redis that is empty or another's", async () => {
    await object("unneeded");
    await sweeper.sweep();
    await server.redis.flushall();
    expect(await sweeper.sweep()).to.equal(0);
    await server.redis.set(keys.store, "test another");
    expect(await sweeper.sweep()).to.equal(0);
    const other = new StoreIdentity(server.redis, "test");
    await other.establish();
    const theirs = new CheckpointStore(new FolderStore(folder), async () => other.id);
    const found: string[] = [];
    for await (const { name } of theirs.list()) found.push(name);
    expect(found, "who starts under that Redis sees a space of its own").to.deep.equal([]);
    expect(await readdir(folder)).to.deep.equal([identity.id]);
  });
});
