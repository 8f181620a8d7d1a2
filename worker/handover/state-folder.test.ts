import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../../test/support/eventually.ts";
import { StateFolder } from "./state-folder.ts";

const MODULE = new URL("./state-folder.js", import.meta.url).href;

describe("StateFolder", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it("gives every live worker a place of its own, and tells who had it before", async () => {
    const [one, two] = [await StateFolder.take(root), await StateFolder.take(root)];
    expect(one.folder).not.to.equal(two.folder);
    const entries = [{ worker: "w_one", engine: "e" }];
    await one.write(entries);
    one.release();
    await eventually("its place is free", async () => {
      const next = await StateFolder.take(root);
      next.release();
      return next.folder === one.folder;
    });
    expect(await one.read()).to.deep.equal(entries);
    two.release();
  });

  it("is free again as soon as the process that had it is killed", async () => {
    const code = `const { StateFolder } = await import(${JSON.stringify(MODULE)});
      console.log((await StateFolder.take(${JSON.stringify(root)})).folder); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [data] = (await once(child.stdout, "data")) as [Buffer];
    const folder = data.toString().trim();
    const other = await StateFolder.take(root);
    expect(other.folder, "while it lives").not.to.equal(folder);
    other.release();
    child.kill("SIGKILL");
    await once(child, "close");
    await eventually("its place is free", async () => {
      const place = await StateFolder.take(root);
      place.release();
      return place.folder === folder;
    });
  });

  it("takes what cannot be read for nothing", async () => {
    const place = await StateFolder.take(root);
    await writeFile(join(place.folder, "workers.json"), '[{"worker":"../w"}]');
    expect(await place.read()).to.deep.equal([]);
    await writeFile(join(place.folder, "workers.json"), "{");
    expect(await place.read()).to.deep.equal([]);
    place.release();
  });
});
