import { expect } from "chai";
import { eventually } from "../../test/support/eventually.ts";
import { silentLog } from "../../test/support/silent-log.ts";
import { uncounted } from "../../test/support/uncounted.ts";
import { useDocker } from "../../test/support/use-docker.ts";
import { SandboxPool } from "./sandbox-pool.ts";

describe("SandboxPool", () => {
  const docker = useDocker();
  let isBusy = false;
  const newPool = (size: number) =>
    new SandboxPool({ host: docker.host, isBusy: () => isBusy, metrics: uncounted, log: silentLog }, size);
  const filled = async (pool: SandboxPool, size: number) => {
    while (pool.warmCount < size) await new Promise((resolve) => void setImmediate(resolve));
  };

  it("hands out what is warm, fills up again, and leaves nothing when it stops", async () => {
    const pool = newPool(2);
    pool.start();
    await filled(pool, 2);
    const sandbox = await pool.take();
    expect(pool.warmCount).to.equal(1);
    await filled(pool, 2);
    expect(await docker.containers()).to.have.length(3);
    await pool.stop();
    expect(await docker.containers()).to.deep.equal([sandbox.containerId]);
    await sandbox.remove();
  });

  it("fills up when nobody needs the cores more, and hands out all the same", async () => {
    const pool = newPool(1);
    isBusy = true;
    pool.start();
    const sandbox = await pool.take();
    expect(await docker.containers()).to.deep.equal([sandbox.containerId]);
    isBusy = false;
    await filled(pool, 1);
    await pool.stop();
    await sandbox.remove();
  });

  it("holds more while more are expected, and gives up what nobody came for", async () => {
    const pool = newPool(1);
    pool.start();
    pool.expect(2);
    await filled(pool, 3);
    const sandbox = await pool.take();
    expect(pool.warmCount).to.equal(2);
    pool.expect(0);
    expect(pool.warmCount).to.equal(1);
    await eventually("the rest is removed", async () => (await docker.containers()).length === 2);
    await pool.stop();
    await sandbox.remove();
  });

  it("makes a cold one when none is warm", async () => {
    const sandbox = await newPool(0).take();
    expect(sandbox.workdir).to.equal("/home/dev/workspace");
    await sandbox.remove();
  });

  it("does not hand out one that died while it waited", async () => {
    const pool = newPool(1);
    pool.start();
    await filled(pool, 1);
    const [id] = await docker.containers();
    await docker.engine.remove(id!);
    while ((await docker.containers()).includes(id!));
    const sandbox = await pool.take();
    expect(sandbox.containerId).not.to.equal(id);
    expect(await sandbox.readFile({ path: "x" }).catch((error) => error.code)).to.equal("NOT_FOUND");
    await pool.stop();
    await sandbox.remove();
  });

  it("may be stopped at any time, and twice, and started again", async () => {
    const pool = newPool(2);
    await pool.stop();
    for (let i = 0; i < 3; i++) {
      pool.start();
      pool.start();
      await Promise.all([pool.stop(), pool.stop()]);
    }
    expect(await docker.containers()).to.deep.equal([]);
  });
});
