import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { begin, connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const APPEND = "echo effect >> effects; cat effects";

describe("Idempotency keys over the wire", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  beforeEach(async () => {
    client = await connectModern(cluster.url);
    session_id = (await client.call("create_session")).structured.session_id;
  });
  afterEach(async () => {
    await client.call("close_session", { session_id });
    await client.close();
  });
  const effects = async (): Promise<unknown> =>
    (await client.call("run_command", { session_id, command: "cat effects" })).structured.stdout;

  it("give a repeated call the first one's result, and the effect once", async () => {
    const args = { session_id, command: APPEND, idempotency_key: "a" };
    const first = await client.call("run_command", args);
    const second = await client.call("run_command", args);
    expect(second.structured).to.deep.equal(first.structured);
    expect(await effects()).to.equal("effect\n");
  });

  it("refuse other arguments under the same key", async () => {
    await client.call("run_command", { session_id, command: APPEND, idempotency_key: "a" });
    const other = await client.call("run_command", { session_id, command: `${APPEND} # other`, idempotency_key: "a" });
    expect(failureOf(other)).to.equal("IDEMPOTENCY_CONFLICT");
    const otherTool = await client.call("write_file", { session_id, path: "f", content: "", idempotency_key: "a" });
    expect(failureOf(otherTool)).to.equal("IDEMPOTENCY_CONFLICT");
    expect(await effects()).to.equal("effect\n");
  });

  it("count as the same call however long each request would wait", async () => {
    const args = { session_id, command: APPEND, idempotency_key: "a" };
    await client.call("run_command", { ...args, wait_ms: 9_000 });
    expect(failureOf(await client.call("run_command", { ...args, wait_ms: 8_000 }))).to.equal(undefined);
    expect(await effects()).to.equal("effect\n");
  });

  it("make one effect of calls that reach both replicas at once", async () => {
    const args = { session_id, command: `${APPEND}; sleep 0.2`, idempotency_key: "a" };
    const answers = await Promise.all(Array.from({ length: 6 }, () => client.call("run_command", args)));
    for (const answer of answers) expect(answer.structured).to.deep.equal(answers[0]?.structured);
    expect(await effects()).to.equal("effect\n");
  });

  it("attach a repeated call to the one in flight", async () => {
    const args = { session_id, command: UNTIL_GO, wait_ms: 300, idempotency_key: "a" };
    const first = await client.call("run_command", args);
    expect(first.structured.status).to.equal("running");
    const { answer } = await begin(client, "run_command", { ...args, wait_ms: 30_000 });
    await client.call("write_file", { session_id, path: "go", content: "" });
    expect((await answer).structured).to.include({ status: "exited", stdout: "started\nwent on\n" });
    expect((await answer).structured.process_id).to.equal(first.structured.process_id);
  });

  it("belong to their session: another one's key is another key", async () => {
    const { structured } = await client.call("create_session");
    await client.call("run_command", { session_id, command: APPEND, idempotency_key: "a" });
    const elsewhere = { session_id: structured.session_id, command: APPEND, idempotency_key: "a" };
    expect((await client.call("run_command", elsewhere)).structured.stdout).to.equal("effect\n");
    expect(await effects()).to.equal("effect\n");
    await client.call("close_session", { session_id: structured.session_id });
  });

  describe("of create_session", () => {
    const made: unknown[] = [];
    afterEach(async () => {
      for (const id of new Set(made.splice(0))) await client.call("close_session", { session_id: id });
    });
    const create = async (args: Record<string, unknown>): Promise<unknown> => {
      const { structured } = await client.call("create_session", args);
      if (structured.session_id) made.push(structured.session_id);
      return structured.session_id;
    };

    it("give the same session again", async () => {
      const first = await create({ idempotency_key: "make", memory_mb: 256 });
      expect(await create({ idempotency_key: "make", memory_mb: 256 })).to.equal(first);
    });

    it("refuse other arguments under the same key", async () => {
      await create({ idempotency_key: "other", memory_mb: 256 });
      const conflict = await client.call("create_session", { idempotency_key: "other", memory_mb: 128 });
      expect(failureOf(conflict)).to.equal("IDEMPOTENCY_CONFLICT");
    });

    it("make one session of calls that reach both replicas at once", async () => {
      const listed = async (): Promise<number> =>
        ((await client.call("list_sessions", { limit: 200 })).structured.sessions as unknown[]).length;
      const before = await listed();
      for (const round of [1, 2, 3]) {
        const key = { idempotency_key: `at once ${round}` };
        const ids = await Promise.all(Array.from({ length: 6 }, () => create(key)));
        expect(new Set(ids).size).to.equal(1);
      }
      expect(await listed()).to.equal(before + 3);
    });

    it("make another session once the first was closed", async () => {
      const key = { idempotency_key: "again" };
      const first = await create(key);
      await client.call("close_session", { session_id: first });
      const ids = await Promise.all(Array.from({ length: 4 }, () => create(key)));
      expect(new Set(ids).size).to.equal(1);
      expect(ids).to.not.include(first);
    });
  });
});
