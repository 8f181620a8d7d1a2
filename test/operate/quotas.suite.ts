import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import { startCoordinator } from "../support/start-coordinator.ts";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useTokens } from "../support/use-tokens.ts";

const QUOTAS = {
  principals: {
    sessions: { sessions: 2 },
    calls: { open_calls: 3 },
    cpu: { cpu_seconds_per_hour: 1 },
    stored: { stored_bytes: 1_000_000 },
  },
};

describe("A principal at its quota", () => {
  const cluster = useCluster({ CAPACITY: "5" }); // a worker's: more sessions need two of them
  const tokens = useTokens();
  const folder = mkdtempSync(join(tmpdir(), "codegen-mcp-quotas-"));
  const coordinators: Coordinator[] = [];
  const clients: ToolClient[] = [];
  before(async () => {
    writeFileSync(join(folder, "quotas"), JSON.stringify(QUOTAS));
    for (const principal of [...Object.keys(QUOTAS.principals), "free"]) await tokens.add(principal);
    const files = { AUTH_TOKENS_FILE: tokens.file, QUOTAS_FILE: join(folder, "quotas") };
    for (let i = 0; i < 2; i++)
      coordinators.push(await startCoordinator({ REDIS_URL: cluster.stack.redis.url, ...files }));
  });
  cluster.beforeStop(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(coordinators.map((coordinator) => coordinator.stop()));
    rmSync(folder, { recursive: true, force: true });
  });
  /** One client of the principal on each replica. */
  const connect = async (principal: string): Promise<[ToolClient, ToolClient]> => {
    const both = await Promise.all(
      coordinators.map(({ url }) => connectModern(`${url}/mcp`, tokens.headersOf(principal))),
    );
    clients.push(...both);
    return both as [ToolClient, ToolClient];
  };
  const expectExceeded = (answer: ToolAnswer): void => {
    expect(failureOf(answer), answer.text).to.equal("QUOTA_EXCEEDED");
    expect(answer.structured.retryable).to.equal(true);
    expect(answer.structured.retry_after_ms).to.be.above(0);
    expect(answer.text).to.match(/may be repeated in \d+ s/);
  };
  const closeAll = async (client: ToolClient): Promise<void> => {
    const { sessions } = (await client.call("list_sessions")).structured as { sessions: { session_id: string }[] };
    for (const { session_id } of sessions) await client.call("close_session", { session_id });
  };

  it("gets as many sessions as it may have, from two replicas at once, and another for one that it closes", async () => {
    const both = await connect("sessions");
    const [here, there] = both;
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => both[i % 2]!.call("create_session")));
    const [made, refused] = [answers.filter(({ isError }) => !isError), answers.filter(({ isError }) => isError)];
    expect(made).to.have.length(2);
    for (const answer of refused) expectExceeded(answer);
    expectExceeded(await there.call("run_command", { command: "true" })); // it has no default session, and may have none
    const keyed = { idempotency_key: "k" };
    expectExceeded(await here.call("create_session", keyed));
    await here.call("close_session", { session_id: made[0]?.structured.session_id });
    expect((await there.call("create_session", keyed)).isError, "its key was free").to.equal(false);
    await closeAll(here);
  });

  it("has as many calls open as it may, on two replicas at once, those that outlived their wait too", async () => {
    const both = await connect("calls");
    const [here, there] = both;
    const [free] = await connect("free");
    const sids = await Promise.all(
      [1, 2, 3, 4].map(async () => (await here.call("create_session")).structured.session_id),
    );
    const ask = (i: number): Promise<ToolAnswer> =>
      both[i % 2]!.call("run_command", { session_id: sids[i % 4], command: UNTIL_GO, wait_ms: 0 });
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => ask(i)));
    const open = answers.filter(({ isError }) => !isError);
    expect(open).to.have.length(3);
    for (const answer of answers.filter(({ isError }) => isError)) expectExceeded(answer);
    expectExceeded(await there.call("read_file", { session_id: sids[0], path: "x" }));

    expect((await free.call("run_command", { command: "echo free" })).structured.stdout).to.equal("free\n");
    const { call_id, session_id } = open[0]!.structured;
    expect((await there.call("get_call", { call_id })).isError, "what is recorded may be read").to.equal(false);
    await there.call("close_session", { session_id }); // and what is open may be ended
    await eventually("there is room again", async () => {
      const [sid] = sids.filter((one) => one !== session_id);
      return !(await there.call("list_files", { session_id: sid })).isError;
    });
    await closeAll(here);
    await closeAll(free);
  });

  it("uses no more cpu time than it may, then waits for the next hour", async () => {
    const [here, there] = await connect("cpu");
    const burn = { command: "timeout 2 sh -c 'while :; do :; done'" };
    expect((await here.call("run_command", burn)).isError).to.equal(false);
    const isRefused = async (): Promise<ToolAnswer | undefined> => {
      const answer = await there.call("run_command", burn); // again, because a new hour may have begun
      return answer.isError ? answer : undefined;
    };
    const refused = await eventually("what was used is counted", isRefused, 40_000);
    expectExceeded(refused);
    await closeAll(here);
  });

  it("stores no more than it may, on two workers at once", async () => {
    const both = await connect("stored");
    const [here, there] = both;
    const worker = await cluster.stack.addWorker();
    const open = async (i: number): Promise<Record<string, unknown>> => {
      const session_id = (await both[i % 2]!.call("create_session", { durability: "none" })).structured.session_id;
      await both[i % 2]!.call("run_command", { session_id, command: "head -c 300000 /dev/urandom > file" });
      return { session_id };
    };
    const sessions = await Promise.all(Array.from({ length: 6 }, (_, i) => open(i)));
    const { sessions: listed } = (await here.call("list_sessions")).structured as { sessions: { worker: string }[] };
    expect(new Set(listed.map((one) => one.worker)).size, "workers").to.equal(2);
    const answers = await Promise.all(sessions.map((one, i) => both[i % 2]!.call("create_checkpoint", one)));
    const [made, refused] = [answers.filter(({ isError }) => !isError), answers.filter(({ isError }) => isError)];
    expect(made).to.have.length(3);
    for (const { structured } of refused) expect(structured).to.include({ code: "QUOTA_EXCEEDED", retryable: true });
    for (const { structured } of refused) expect(structured.retry_after_ms).to.be.above(0);
    const again = sessions[answers.findIndex(({ isError }) => isError)]!;
    expect(failureOf(await there.call("fork_session", again))).to.equal("QUOTA_EXCEEDED");
    await there.call("delete_checkpoint", { checkpoint_id: made[0]!.structured.checkpoint_id });
    expect((await here.call("create_checkpoint", again)).isError, "there is room again").to.equal(false);
    await closeAll(here);
    expect(await worker.stop(60_000, "SIGINT")).to.equal(0);
  });
});
