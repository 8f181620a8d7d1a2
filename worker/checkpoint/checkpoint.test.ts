import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { TestSandbox } from "../../test/support/test-sandbox.ts";
import { useDocker } from "../../test/support/use-docker.ts";
import { CheckpointStore } from "./checkpoint-store.ts";
import { FolderStore } from "./folder-store.ts";
import { Lineage, type Written } from "./lineage.ts";
import { restoreCheckpoint, resumeLineage } from "./restore-checkpoint.ts";
import { writeCheckpoint } from "./write-checkpoint.ts";

const LIST =
  "cd ~; find . -mindepth 1 -printf '%p %y %m %s %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum";

describe("A checkpoint", () => {
  const docker = useDocker();
  let owner: TestSandbox;
  let folder = "";
  let store: CheckpointStore;
  let lineage: Lineage;
  before(async () => {
    owner = await docker.shared();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-store-"));
    store = new CheckpointStore(new FolderStore(folder), async () => "space");
    lineage = new Lineage();
    await owner.run("rm -rf ~/workspace/* ~/.[!.]*");
  });
  afterEach(async () => await rm(folder, { recursive: true }));

  const take = async (): Promise<Written> => {
    const written = await writeCheckpoint(owner.sandbox, store, lineage);
    lineage.advance(written);
    return written;
  };
  const restore = async (layers = lineage.layers) =>
    await restoreCheckpoint(owner.sandbox, store, new Lineage(), layers);
  const list = async () => (await owner.run(LIST)).stdout;
  const objects = async () => {
    const found: string[] = [];
    for await (const { object } of store.list()) found.push(object ?? "");
    return found;
  };

  it("of many files is few objects, and one of a small change is one small object", async () => {
    await owner.run("head -c 3000000 /dev/urandom | split -b 10000 -a 3 - f; head -c 5000000 /dev/urandom > large");
    const first = await take();
    expect(first).to.include({ isFull: true, files: 301, bytes: 8_000_000, leftOut: 0 });
    expect(await objects())
      .to.have.length.at.most(3)
      .and.to.have.members([...first.objects]);
    await owner.run("head -c 1000 /dev/urandom >> faaa");
    const second = await take();
    expect(second).to.include({ isFull: false, files: 301, bytes: 8_001_000 });
    expect(second.storedBytes).to.be.within(11_000, 13_000);
    expect(second.sizes.size).to.equal(1);
    await owner.run("printf x | dd of=large bs=1 seek=4500000 conv=notrunc");
    expect((await take()).storedBytes, "the MiB that changed").to.be.within(800_000, 1_100_000);
    const nothing = await take();
    expect(nothing).to.include({ storedBytes: 0 }).and.to.have.property("layers").that.has.length(3);
    const before = await list();
    await owner.run("rm -rf ~/workspace/*; echo other > ~/other");
    await restore();
    expect(await list()).to.equal(before);
  });

  it("holds what the newest of many says: changes, removals, kinds that changed", async () => {
    const steps = [
      "mkdir d; echo 1 > d/a; echo 1 > b; ln -s b link",
      "rm -r d; echo file > d; rm link; mkdir link; echo 2 > link/b",
      "rm d; mkdir -p d/e; mv b d/e/b; chmod 600 d/e/b",
    ];
    const states: [layers: readonly string[], listed: string][] = [];
    for (const step of steps) {
      await owner.run(step);
      states.push([(await take()).layers, await list()]);
    }
    for (const [layers, listed] of states.reverse()) {
      await restore(layers);
      expect(await list()).to.equal(listed);
    }
  });

  it("begins anew now and then, and leaves behind what is dead or small", async () => {
    await owner.run("head -c 6000000 /dev/urandom > large");
    let written = await take();
    const [pack] = written.sizes.keys();
    for (let i = 0; i < 33; i++) {
      await owner.run(`echo ${i} > small; echo ${i} > s${i}`);
      written = await take();
    }
    expect(written.layers).to.have.length.at.most(3);
    expect(written.objects).to.include(pack).and.to.have.property("size").that.is.at.most(4);
    const before = await list();
    await owner.run("rm ~/workspace/*");
    await restore();
    expect(await list()).to.equal(before);
  });

  it("goes on from what was restored", async () => {
    await owner.run("head -c 100000 /dev/urandom > kept; echo 1 > changed");
    await take();
    const restored = new Lineage();
    await restoreCheckpoint(owner.sandbox, store, restored, lineage.layers);
    await owner.run("echo 2 > changed");
    const next = await writeCheckpoint(owner.sandbox, store, restored);
    expect(next).to.include({ isFull: false }).and.to.have.property("storedBytes").that.is.below(2_000);
    const before = await list();
    await owner.run("rm kept changed");
    await restore(next.layers);
    expect(await list()).to.equal(before);
  });

  it("goes on from what an owner before has stored in the same container", async () => {
    await owner.run("head -c 100000 /dev/urandom > kept; echo 1 > changed");
    const { layers, objects, generation, number } = await take();
    await owner.run("echo 2 > changed");
    const resumed = await resumeLineage(store, { layers, objects: [...objects], generation, scan: String(number) });
    const next = await writeCheckpoint(owner.sandbox, store, resumed);
    expect(next).to.include({ isFull: false }).and.to.have.property("storedBytes").that.is.below(2_000);
    expect(next.objects).to.have.all.keys(...objects, ...next.layers);
  });

  it("tells everything when the agent was restarted, and stores no content again", async () => {
    await owner.run("head -c 300000 /dev/urandom > kept");
    await take();
    const restarted = owner.restarted();
    await owner.start("kill -9 $(pgrep -f [a]gent.cjs | tail -1)").catch(() => {});
    await restarted;
    const next = await take();
    expect(next).to.include({ isFull: true }).and.to.have.property("storedBytes").that.is.below(2_000);
  });

  it("is brought over from the space of another Redis, once, unless it is damaged there", async () => {
    await owner.run("head -c 6000000 /dev/urandom > large; echo 1 > small");
    const { layers, objects: needed } = await take();
    const before = await list();
    await owner.run("rm ~/workspace/*");
    const other = new CheckpointStore(new FolderStore(folder), async () => "other");
    await other.bring("space", [...needed]);
    await rm(join(folder, "space"), { recursive: true });
    await other.bring("space", [...needed]);
    await restoreCheckpoint(owner.sandbox, other, new Lineage(), layers);
    expect(await list()).to.equal(before);
    const [name = ""] = needed;
    await writeFile(join(folder, "other", name.slice(0, 2), name.slice(2)), "damaged");
    expect(await store.bring("other", [name]).catch((error) => error)).to.include({ code: "STORE_UNAVAILABLE" });
  });

  it("that lacks an object is refused, and touches nothing", async () => {
    await owner.run("head -c 6000000 /dev/urandom > large; echo 1 > small");
    const { layers, objects: needed } = await take();
    await owner.run("echo 2 > small");
    const missing = [...needed].find((name) => !layers.includes(name))!;
    await unlink(join(folder, "space", missing.slice(0, 2), missing.slice(2)));
    const before = await list();
    expect(await restore().catch((error) => error)).to.include({ code: "STORE_UNAVAILABLE" });
    expect(await restore(["0".repeat(64)]).catch((error) => error)).to.include({ code: "STORE_UNAVAILABLE" });
    expect(await list()).to.equal(before);
  });

  it("in a store that refuses is a typed error, and the session goes on", async () => {
    await owner.run("echo 1 > small");
    await writeFile(join(docker.runFolder, "a file"), "");
    const refusing = new CheckpointStore(new FolderStore(join(docker.runFolder, "a file")), async () => "space");
    const failure = await writeCheckpoint(owner.sandbox, refusing, lineage).catch((error) => error);
    expect(failure).to.include({ code: "STORE_UNAVAILABLE", isRetryable: true });
    expect(failure.message).to.not.include(docker.runFolder);
    expect((await owner.run("cat small")).stdout).to.equal("1\n");
    expect((await take()).files, "and the next one has everything").to.equal(1);
  });
});
