import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { useS3 } from "../../test/support/use-s3.ts";
import { CheckpointStore } from "./checkpoint-store.ts";
import type { ObjectStore } from "./object-store.ts";
import { openObjectStore } from "./open-store.ts";

describe("An object store", () => {
  const s3 = useS3();
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-store-"));
  });
  after(async () => await rm(folder, { recursive: true }));

  const open = (url: string): ObjectStore => openObjectStore(url, { region: s3.region, endpoint: s3.endpoint });
  const kinds: [string, () => ObjectStore][] = [
    ["in a folder", () => open(pathToFileURL(folder).href)],
    ["in a bucket", () => open("s3://checkpoints/")],
    ["under a prefix of a bucket", () => open("s3://checkpoints/some/prefix")],
  ];
  for (const [where, make] of kinds) {
    it(`${where} gives back what was put, lists it, and forgets it`, async () => {
      const store = make();
      const bytes = Buffer.alloc(300_000, "x");
      await store.put("space/aa/one", bytes);
      await store.put("space/aa/one", bytes);
      await store.put("space/bb/two", Buffer.alloc(0));
      await store.put("other/aa/three", Buffer.from("3"));
      expect(await store.get("space/aa/one")).to.deep.equal(bytes);
      expect(await store.get("space/bb/two")).to.deep.equal(Buffer.alloc(0));
      expect([await store.get("space/aa/none"), await store.has("space/aa/none")]).to.deep.equal([undefined, false]);
      expect(await store.has("space/aa/one")).to.equal(true);
      const listed: string[] = [];
      for await (const { name, writtenAt } of store.list("space")) {
        listed.push(name);
        expect(writtenAt).to.be.within(Date.now() - 60_000, Date.now() + 60_000);
      }
      expect(listed.sort()).to.deep.equal(["space/aa/one", "space/bb/two"]);
      await store.delete(["space/aa/one", "space/aa/none"]);
      expect(await store.has("space/aa/one")).to.equal(false);
    });
  }

  it("in a bucket lists more than one page", async () => {
    const store = open("s3://checkpoints/pages");
    const names = Array.from({ length: 1_005 }, (_, i) => `s/${String(i).padStart(4, "0")}`);
    for (let from = 0; from < names.length; from += 50)
      await Promise.all(names.slice(from, from + 50).map((name) => store.put(name, Buffer.from("x"))));
    const listed: string[] = [];
    for await (const { name } of store.list("s")) listed.push(name);
    expect(listed.sort()).to.deep.equal(names);
    await store.delete(names);
    for await (const { name } of store.list("s")) throw new Error(`${name} is still there`);
  });

  it("that refuses, or is away, is a typed error that names neither path nor address", async () => {
    const refusing = new CheckpointStore(open("s3://nobody-s/x"), async () => "space");
    const failure = await refusing.put(Buffer.from("x")).catch((error) => error);
    expect(failure).to.include({ code: "STORE_UNAVAILABLE" });
    expect(await refusing.get("0".repeat(64)).catch((error) => error)).to.include({ code: "STORE_UNAVAILABLE" });
    const away = new CheckpointStore(
      openObjectStore("s3://checkpoints", { region: s3.region, endpoint: "http://127.0.0.1:9" }),
      async () => "space",
    );
    const silent = await away.put(Buffer.from("x")).catch((error) => error);
    expect(silent).to.include({ code: "STORE_UNAVAILABLE" });
    expect(silent.message).to.not.match(/127\.0\.0\.1|:9/);
  });
});
