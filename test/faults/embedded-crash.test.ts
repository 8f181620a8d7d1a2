import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import { eventually } from "../support/eventually.ts";
import { connectModern } from "../support/tool-client.ts";
import { containersOf } from "../support/use-cluster.ts";

const TIMEOUT_MS = 90_000;
/** Without a state folder the next worker takes no container over: each must be swept. */
const ENV = { STATE_DIR: "", LEASE_MS: "3000", BEAT_MS: "500", SWEEP_MS: "300", POOL_SIZE: "1", WORKSPACE_MB: "64" };

describe("A whole stack that is killed", () => {
  it("leaves nothing that the next start in its folder does not find: sessions go on, containers are swept", async function () {
    this.timeout(TIMEOUT_MS);
    const folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    const killed = await EmbeddedStack.start({ folder, env: ENV });
    const client = await connectModern(killed.url);
    const { session_id } = (await client.call("create_session")).structured;
    await client.close();
    const left = await containersOf(killed.deployment);
    expect(left).not.to.deep.equal([]);
    const processes = [...killed.workers, ...killed.coordinators];
    for (const process of processes) process.signal("SIGKILL");
    killed.redis.signal("SIGKILL");
    await Promise.all(processes.map(({ exited }) => exited));
    await killed.redis.stop();

    const next = await EmbeddedStack.start({ folder, env: ENV });
    expect(next.deployment).to.equal(killed.deployment);
    const again = await connectModern(next.url);
    const { structured } = await again.call("run_command", { session_id, command: "echo on", wait_ms: 50_000 });
    expect(structured).to.include({ stdout: "on\n" });
    await eventually(
      "what the killed worker left is gone",
      async () => {
        const there = await containersOf(next.deployment);
        return !left.some((id) => there.includes(id));
      },
      TIMEOUT_MS / 2,
    );
    await again.close();
    expect(await next.stop()).to.deep.equal([0, 0]);
    expect(await containersOf(next.deployment)).to.deep.equal([]);
    await rm(folder, { recursive: true });
  });
});
