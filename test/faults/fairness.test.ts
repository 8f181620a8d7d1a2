import { once } from "node:events";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { expect } from "chai";
import type { Coordinator } from "../../coordinator/coordinator.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import { keys } from "../../shared/redis/keys.ts";
import { eventually } from "../support/eventually.ts";
import { PromptKitClient } from "../support/promptkit-client.ts";
import { startCoordinator } from "../support/start-coordinator.ts";
import { failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { useTokens } from "../support/use-tokens.ts";

const CROWD = 24;
const LINE = 8;
/** A worker's place jobs that run at once. */
const BEING_TAKEN = 4;

describe("A crowd of one principal", () => {
  const cluster = useCluster({ CAPACITY: "32", POOL_SIZE: "1", MAX_WAITING_SESSIONS: String(LINE) });
  const tokens = useTokens();
  let coordinator: Coordinator;
  let crowd: ToolClient;
  let other: ToolClient;
  before(async () => {
    const settings = { PORT: "0", MAX_WAITING_SESSIONS: String(LINE), MAX_PRINCIPAL_DEPTH: String(CROWD) };
    for (const principal of ["crowd", "other"]) await tokens.add(principal);
    const own = { REDIS_URL: cluster.stack.redis.url, AUTH_TOKENS_FILE: tokens.file };
    coordinator = await startCoordinator({ ...own, ...settings });
    const connectAs = (principal: string): Promise<ToolClient> =>
      PromptKitClient.connect(`${coordinator.url}/mcp`, tokens.headersOf(principal));
    [crowd, other] = await Promise.all([connectAs("crowd"), connectAs("other")]);
  });
  cluster.beforeStop(async () => {
    await Promise.all([crowd.close(), other.close()]);
    await coordinator.stop();
  });

  /** When a session was asked for, and when a worker had taken it, by Redis's clock. */
  const creationOf = async ({ structured }: ToolAnswer) => {
    const sid = structured.session_id as SessionId;
    const call = (await cluster.redis.hget(keys.session(sid), "create_call")) as CallId;
    const [submitted, started] = await cluster.redis.hmget(keys.call(sid, call), "submitted_at", "started_at");
    return { submittedAt: Number(submitted), startedAt: Number(started) };
  };

  it("fills its own part of the line, and is passed by the first session of another", async () => {
    const asked = Array.from({ length: CROWD }, () => crowd.call("create_session"));
    const answers: ToolAnswer[] = [];
    for (const answer of asked) void answer.then((one) => answers.push(one));
    const refused = (): ToolAnswer[] => answers.filter((answer) => failureOf(answer) === "NO_CAPACITY");
    await eventually("the line is full", () => refused().length > 0);

    const theirs = await other.call("create_session");
    expect(theirs.structured.session_id, theirs.text).to.match(/^ses_/);
    const run = await other.call("run_command", { session_id: theirs.structured.session_id, command: "echo in" });
    expect(run.structured.stdout).to.equal("in\n");

    const all = await Promise.all(asked);
    const placed = all.filter((answer) => !answer.isError);
    expect(placed.length + refused().length, "each was told").to.equal(CROWD);
    const own = await creationOf(theirs);
    const crowds = await Promise.all(placed.map(creationOf));
    const passed = crowds.filter(({ startedAt }) => startedAt > own.submittedAt && startedAt < own.startedAt);
    expect(passed.length, "those that were being taken when it came").to.be.at.most(BEING_TAKEN);
    for (const { structured } of placed) await crowd.call("close_session", { session_id: structured.session_id });
  });

  it("is refused what one replica cannot hold, but may still close; the other is served", async () => {
    const { session_id } = (await crowd.call("create_session")).structured;
    const waits = Array.from({ length: CROWD }, () =>
      crowd.call("run_command", { session_id, command: "sleep 60", wait_ms: 50_000 }),
    );
    for (const wait of waits) wait.catch(() => {});
    const full = await eventually("the crowd is at its limit", async () => {
      const answer = await crowd.call("list_sessions");
      return answer.isError ? answer : undefined;
    });
    expect(failureOf(full)).to.equal("QUEUE_FULL");
    expect(full.structured.retryable).to.equal(true);
    expect((await other.call("list_sessions")).isError).to.equal(false);
    expect((await crowd.call("close_session", { session_id })).structured.closed).to.equal(true);
    await Promise.all(waits);
  });

  it("is refused what nobody can read in time, by HTTP, and the other is not", async () => {
    const ports = { host: "127.0.0.1", port: Number(new URL(coordinator.url).port) };
    const waves = [...Array.from({ length: 10 * CROWD }, () => "crowd"), "other"];
    const sockets = await Promise.all(
      waves.map(async () => {
        const socket = connect(ports);
        socket.write("HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
        await once(socket, "data"); // the server has it: it takes in one a turn, and all are to be heard in the same
        return socket.pause();
      }),
    );
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
    const answers = waves.map(async (principal, i) => {
      const { authorization } = tokens.headersOf(principal);
      const head = ["POST /mcp HTTP/1.1", "host: localhost", `authorization: ${authorization}`, "connection: close"];
      const type = ["content-type: application/json", "accept: application/json, text/event-stream"];
      sockets[i]!.write(`${[...head, ...type, `content-length: ${body.length}`].join("\r\n")}\r\n\r\n${body}`);
      return await readText(sockets[i]!);
    });
    const texts = await Promise.all(answers);
    const refused = texts.filter((text) => text.startsWith("HTTP/1.1 429"));
    expect(refused.length, "of the crowd").to.be.within(1, 8 * CROWD);
    expect(refused[0])
      .to.match(/retry-after: 1\r/i)
      .and.to.include('"code":"QUEUE_FULL"')
      .and.to.include('"retryable":true');
    expect(texts.at(-1), "the other").not.to.match(/^HTTP\/1.1 429/);
  });
});
