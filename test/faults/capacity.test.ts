import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { begin, connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

describe("A system that is full", () => {
  const env = { CAPACITY: "1", MAX_LANE_DEPTH: "3", PLACEMENT_TIMEOUT_MS: "3000" };
  const cluster = useCluster(env);
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());
  beforeEach(async () => {
    session_id = (await client.call("create_session")).structured.session_id;
  });
  afterEach(async () => {
    await client.call("close_session", { session_id });
  });

  it("refuses a call above the lane's depth, and lets nobody be kept from killing", async () => {
    const { answer } = await begin(client, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const queued = { session_id, command: "true", wait_ms: 0 };
    for (const _ of [2, 3]) expect((await client.call("run_command", queued)).structured.status).to.equal("queued");
    const refused = { session_id, command: "echo ran", idempotency_key: "k", wait_ms: 20_000 };
    const full = await client.call("run_command", refused);
    expect(failureOf(full)).to.equal("QUEUE_FULL");
    expect(full.structured.retryable).to.equal(true);

    const { structured } = await client.call("list_processes", { session_id });
    const [{ process_id }] = structured.processes as [{ process_id: string }];
    const killed = await client.call("kill_process", { session_id, process_id });
    expect(killed.structured.status).to.equal("killed");
    expect((await answer).structured.status).to.equal("killed");
    const again = await client.call("run_command", refused);
    expect(again.structured.stdout, "its key was free").to.equal("ran\n");
  });

  it("tells who waits for a worker the position, and refuses in time", async () => {
    const told: string[] = [];
    const refused = await client.call("create_session", {}, { onText: (text) => told.push(text) });
    expect(failureOf(refused)).to.equal("NO_CAPACITY");
    expect(refused.structured.retryable).to.equal(true);
    expect(told.join("\n")).to.include("position 1");
    const { structured } = await client.call("list_sessions");
    expect(structured.sessions, "what was refused is not there").to.have.length(1);
  });

  it("gives a session that waits the place of one that ends", async () => {
    let waits = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      waits = resolve;
    });
    const second = client.call("create_session", {}, { onText: () => waits() });
    await waiting;
    await client.call("close_session", { session_id });
    const { structured, text } = await second;
    expect(structured.session_id, text).to.match(/^ses_/);
    session_id = structured.session_id;
    expect((await client.call("run_command", { session_id, command: "echo in" })).structured.stdout).to.equal("in\n");
  });
});
