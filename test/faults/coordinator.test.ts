import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { begin, connectModern } from "../support/tool-client.ts";
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
