import { expect } from "chai";
import type { ManagedProcess } from "../../compose/embedded/managed-process.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

describe("Of several workers on one host, one that is stopped and not replaced", () => {
  // A lease that outlasts the test: what is taken over is not taken back by a coordinator.
  const cluster = useCluster({ SWEEP_MS: "500", LEASE_MS: "300000", CAPACITY: "3" });
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());

  const ownerOf = async (session_id: unknown): Promise<unknown> =>
    (await client.call("get_session", { session_id })).structured.worker;
  const stopOwnerOf = async (session_id: unknown): Promise<void> => {
    const owner = await ownerOf(session_id);
    const isIts = (worker: ManagedProcess): boolean => worker.log.includes(`"worker":"${owner}"`);
    await cluster.stack.workers.find(isIts)?.stop(60_000);
  };

  it("loses nothing: another one goes on with its sessions, their containers and what runs there", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    const { answer } = await begin(client, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const container = await cluster.containerOf(session_id);
    const before = await ownerOf(session_id);
    await cluster.stack.addWorker();
    await stopOwnerOf(session_id);

    await eventually("the other one has it", async () => (await ownerOf(session_id)) !== before, 60_000);
    await cluster.exec(session_id, "touch go");
    const { structured } = await answer;
    expect(structured).to.include({ status: "exited", exit_code: 0 }).and.not.to.have.property("notice");
    expect(structured.stdout).to.match(/went on\n$/);
    expect(await cluster.containerOf(session_id)).to.equal(container);
    await client.call("close_session", { session_id });
  });

  it("leaves the rest to a third where the second has not room for all", async () => {
    const last = cluster.stack.workers.at(-1) as ManagedProcess;
    expect(last.isRunning).to.equal(true);
    const created = [1, 2, 3].map(async () => (await client.call("create_session")).structured.session_id);
    const sessions = await Promise.all(created);
    const containers = await Promise.all(sessions.map((sid) => cluster.containerOf(sid)));
    await Promise.all([cluster.stack.addWorker(), cluster.stack.addWorker()]);
    // They go to the new ones by turns, so that neither has room for three more.
    const others = await Promise.all(
      [1, 2, 3].map(async () => (await client.call("create_session")).structured.session_id),
    );
    await last.stop(60_000);
    await eventually(
      "each has a live owner",
      async () => {
        const owners = new Set(await Promise.all(sessions.map(ownerOf)));
        return [...owners].every((owner) => !last.log.includes(`"worker":"${owner}"`));
      },
      60_000,
    );
    expect(await Promise.all(sessions.map((sid) => cluster.containerOf(sid)))).to.deep.equal(containers);
    for (const session_id of sessions) {
      const { structured } = await client.call("run_command", { session_id, command: "echo alive" });
      expect(structured).to.include({ stdout: "alive\n" }).and.not.to.have.property("notice");
    }
    await Promise.all([...sessions, ...others].map((session_id) => client.call("close_session", { session_id })));
  });
});
