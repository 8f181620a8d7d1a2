import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { begin, connectModern, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

type Structured = Record<string, unknown>;

describe("A client that goes away", () => {
  const cluster = useCluster();
  let here: ToolClient;
  let there: ToolClient;
  before(async () => {
    const [first = "", second = ""] = cluster.stack.urls;
    here = await connectModern(first);
    there = await connectModern(second);
  });
  cluster.beforeStop(() => Promise.all([here.close(), there.close()]));
  const newSession = async (): Promise<unknown> => (await there.call("create_session")).structured.session_id;
  const newestCommand = async (session_id: unknown): Promise<Structured> => {
    const calls = (await there.call("list_calls", { session_id })).structured.calls as Structured[];
    return calls.find(({ tool }) => tool === "run_command") ?? {};
  };
  const isCancelled = async (session_id: unknown): Promise<boolean> =>
    (await newestCommand(session_id)).state === "cancelled";
  /** Starts a command on the first replica and gives it up at its first output. */
  const abandon = async (args: Structured): Promise<void> => {
    const abort = new AbortController();
    const { answer } = await begin(here, "run_command", { wait_ms: 50_000, ...args }, abort.signal);
    abort.abort();
    await answer.catch(() => {});
  };

  it("cancels its call at once in the 2026 era: nobody else will read the answer", async () => {
    const session_id = await newSession();
    await abandon({ session_id, command: "echo started; sleep 60" });
    await eventually("its call is cancelled", () => isCancelled(session_id));
    const { structured } = await there.call("list_processes", { session_id });
    expect(structured.processes).to.have.nested.property("[0].status", "killed");
  });

  it("cancels it as well before anything was answered, not even a stream's head", async () => {
    const session_id = await newSession();
    const abort = new AbortController();
    const args = { session_id, command: "sleep 60", wait_ms: 50_000 };
    const answer = here.call("run_command", args, { signal: abort.signal }).catch(() => {});
    await eventually("it runs", async () => (await newestCommand(session_id)).state === "running");
    abort.abort();
    await answer;
    await eventually("its call is cancelled", () => isCancelled(session_id));
  });

  it("cancels nothing in the 2025 era: get_call has the result", async () => {
    const client = await PromptKitClient.connect(cluster.url);
    const { session_id } = (await client.call("get_session")).structured;
    const abort = new AbortController();
    const { answer } = await begin(client, "run_command", { command: UNTIL_GO, wait_ms: 1_000 }, abort.signal);
    abort.abort();
    await answer.catch(() => {});
    const { call_id } = await newestCommand(session_id);
    await client.call("write_file", { path: "go", content: "" });
    const { structured } = await client.call("get_call", { call_id, wait_ms: 20_000 });
    expect(structured).to.include({ state: "done" });
    expect(structured.result).to.include({ stdout: "started\nwent on\n" });
    await client.close();
  });

  it("leaves a call with an idempotency_key some time to be asked for again, then cancels it", async () => {
    const session_id = await newSession();
    await abandon({ session_id, command: "echo started; sleep 60", idempotency_key: "k" });
    expect((await newestCommand(session_id)).state).to.equal("running");
    await eventually("it is cancelled", () => isCancelled(session_id));
  });

  it("keeps a call that is asked for again by the same key, on whichever replica", async () => {
    const [session_id, canary] = [await newSession(), await newSession()];
    const args = { session_id, command: UNTIL_GO, idempotency_key: "k", wait_ms: 1_000 };
    await abandon(args);
    const { answer } = await begin(there, "run_command", { ...args, wait_ms: 30_000 });
    await abandon({ session_id: canary, command: "echo started; sleep 60", idempotency_key: "k" });
    await eventually("the time to ask again is over", () => isCancelled(canary));
    await there.call("write_file", { session_id, path: "go", content: "" });
    expect((await answer).structured).to.include({ status: "exited", stdout: "started\nwent on\n" });
  });
});
