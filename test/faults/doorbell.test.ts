import { Queue } from "bullmq";
import { expect } from "chai";
import type { SessionId } from "../../shared/ids.ts";
import { callQueueOf, PLACE_QUEUE, queueOptions } from "../../shared/queues.ts";
import { keys } from "../../shared/redis/keys.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

describe("What is lost between coordinator and worker", () => {
  const cluster = useCluster();
  let client: ToolClient;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());
  const queueOf = (name: string): Queue => new Queue(name, { ...queueOptions, connection: cluster.redis });
  const jobsIn = (queue: Queue): Promise<number> => queue.getWaitingCount();

  it("keeps no call from running: the jobs of its queue", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    const owner = (await cluster.redis.hget(keys.session(session_id as SessionId), "owner")) ?? "";
    const queue = queueOf(callQueueOf(owner));
    await queue.pause();
    const { structured } = await client.call("run_command", {
      session_id,
      command: "echo ran >> effects; cat effects",
    });
    expect(structured).to.include({ exit_code: 0, stdout: "ran\n" });

    await queue.resume();
    const late = await client.call("run_command", { session_id, command: "cat effects" });
    expect(late.structured.stdout, "a doorbell that comes late starts nothing again").to.equal("ran\n");
    await queue.close();
  });

  it("keeps no session from being placed: the jobs of the place queue", async () => {
    const queue = queueOf(PLACE_QUEUE);
    await queue.pause();
    const creating = client.call("create_session");
    await eventually("the doorbell was rung", () => jobsIn(queue));
    await queue.drain();
    await queue.resume();
    expect((await creating).structured.session_id).to.match(/^ses_/);
    await queue.close();
  });

  it("keeps no answer from its client: the live events and wakes", async () => {
    const { session_id } = (await client.call("create_session")).structured;
    const command = "echo started; sleep 60";
    const { answer } = await begin(client, "run_command", { session_id, command, wait_ms: 50_000 });
    const { structured } = await client.call("list_processes", { session_id });
    const [{ process_id }] = structured.processes as [{ process_id: string }];
    await cluster.redis.client("KILL", "TYPE", "PUBSUB");
    const killed = await client.call("kill_process", { session_id, process_id });
    expect(killed.structured.status).to.equal("killed");
    expect((await answer).structured.status).to.equal("killed");
  });
});
