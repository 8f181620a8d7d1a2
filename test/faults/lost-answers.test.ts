import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const CALLS = 7;
const CUT_EVERY_MS = 60;

describe("Redis connections that are cut again and again", () => {
  const cluster = useCluster({});

  /** Cuts every connection of coordinators and worker until told to stop: answers get lost, commands are sent again. */
  const cutting = () => {
    const over = new AbortController();
    const loop = (async () => {
      while (!over.signal.aborted) {
        await cluster.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        await sleep(CUT_EVERY_MS, undefined, { signal: over.signal }).catch(() => {});
      }
    })();
    return async (): Promise<void> => {
      over.abort();
      await loop;
    };
  };

  /** As an agent would: the same key until there is a result. */
  const insist = async (client: ToolClient, args: Record<string, unknown>): Promise<Record<string, unknown>> =>
    await eventually("the call is answered", async () => {
      const { structured } = await client.call("run_command", { ...args, wait_ms: 5_000 });
      return structured.status === "exited" ? structured : undefined;
    });

  it("cost no call and double none: every command ran once, in order", async function () {
    this.timeout(120_000);
    const client = await connectModern(cluster.url);
    const { session_id } = (await client.call("create_session")).structured;
    const stop = cutting();
    try {
      for (let i = 0; i < CALLS; i++) {
        const command = `echo ${i} >> log`;
        const result = await insist(client, { session_id, command, idempotency_key: `call-${i}` });
        expect(result.exit_code).to.equal(0);
      }
    } finally {
      await stop();
    }
    const { stdout } = await insist(client, { session_id, command: "cat log" });
    expect(stdout).to.equal(Array.from({ length: CALLS }, (_, i) => `${i}\n`).join(""));
    await client.close();
  });
});
