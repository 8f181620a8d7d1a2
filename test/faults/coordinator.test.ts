import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, connectV1 } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

describe("A coordinator that dies", () => {
  const cluster = useCluster({});

  it("takes no call with it: any other replica tells its end", async () => {
    const { stack } = cluster;
    const [dying = "", staying = ""] = stack.urls;
    const [victim] = stack.coordinators.splice(0, 1);
    const [lost, client] = await Promise.all([connectModern(dying), connectModern(staying)]);
    const { session_id } = (await lost.call("create_session")).structured;
    await begin(lost, "run_command", { session_id, command: UNTIL_GO, wait_ms: 1_000 });
    victim?.signal("SIGKILL");
    await victim?.exited;

    const { structured } = await client.call("list_calls", { session_id });
    const [call] = structured.calls as { call_id: string; tool: string }[];
    expect(call).to.include({ tool: "run_command" });
    await client.call("write_file", { session_id, path: "go", content: "" });
    const end = await client.call("get_call", { call_id: call?.call_id, wait_ms: 20_000 });
    expect(end.structured.state).to.equal("done");
    expect(end.structured.result).to.include({ exit_code: 0, stdout: "started\nwent on\n" });
    await Promise.all([lost.close(), client.close()]);
  });
});

describe("Coordinators that are restarted one after another", () => {
  const cluster = useCluster({});

  for (const connect of [connectModern, connectV1]) {
    it(`fail no call of a client that retries with keys (${connect.name})`, async () => {
      const { stack } = cluster;
      const client = await connect(cluster.url);
      const { session_id } = (await client.call("create_session")).structured;
      const append = async (n: number): Promise<void> => {
        const args = { session_id, command: `echo ${n} >> effects`, idempotency_key: `n${n}`, wait_ms: 50_000 };
        const { structured, text } = await eventually(`call ${n} is answered`, () => client.call("run_command", args));
        expect(structured.exit_code, text).to.equal(0);
      };
      let count = 0;
      let isRestarted = false;
      const working = (async () => {
        while (!isRestarted) await append(++count);
      })();
      for (const _ of stack.urls.slice()) {
        const old = stack.coordinators.shift();
        stack.urls.shift();
        await stack.addCoordinator();
        const fresh = new URL("/readyz", stack.urls.at(-1));
        await eventually("the new one is ready", async () => (await fetch(fresh)).ok); // it listens before that
        cluster.useReplicas(stack.urls);
        const before = count;
        expect(await old?.stop(30_000), "it ends cleanly, with a call under way").to.equal(0);
        await eventually("calls go on", () => count > before + 2);
      }
      isRestarted = true;
      await working;
      await append(++count);
      const { structured } = await client.call("run_command", { session_id, command: "cat effects" });
      expect(structured.stdout).to.equal(Array.from({ length: count }, (_, n) => `${n + 1}\n`).join(""));
      await client.call("close_session", { session_id });
      await client.close();
    });
  }
});
