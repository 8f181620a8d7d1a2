import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Redis } from "ioredis";
import { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import { closeRedis, createRedis } from "../../shared/redis/connect.ts";
import { keys } from "../../shared/redis/keys.ts";
import { eventually } from "../support/eventually.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { silentLog } from "../support/silent-log.ts";
import { connectModern, failureOf, type ToolClient } from "../support/tool-client.ts";

const STREAM_MAX = 100;
const SECRET = "hunter2-in-an-argument";
/** A keeper that died holds its lock for so long, and then some on a slow machine. */
const TAKEN_OVER_MS = 60_000;

interface Row {
  [column: string]: unknown;
  id: string;
  tool: string;
  outcome: string;
}

describe("The audit in Postgres", function () {
  this.timeout(180_000);
  let folder = "";
  let postgres: PostgresServer;
  let stack: EmbeddedStack;
  let redis: Redis;
  let client: ToolClient;
  let sid = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-audit-"));
    await chmod(folder, 0o755); // another user's server lives in it
    postgres = await PostgresServer.start(join(folder, "postgres"));
    const env = { AUDIT_STREAM_MAX: String(STREAM_MAX), DATABASE_URL: postgres.url };
    stack = await EmbeddedStack.start({ folder: join(folder, "stack"), coordinators: 2, env });
    redis = createRedis(stack.redis.url, "patient", silentLog);
    client = await connectModern(stack.url);
    sid = String((await client.call("create_session")).structured.session_id);
  });
  after(async () => {
    await client.close().catch(() => {});
    await closeRedis(redis);
    await stack.stop();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const run = async (command: string, key: string) =>
    await client.call("run_command", { session_id: sid, command, idempotency_key: key });
  const rows = async (): Promise<Row[]> =>
    await postgres.query<Row>("SELECT * FROM audit_calls WHERE session = $1 ORDER BY submitted_at", [sid]);
  const has = async (count: number, tool: string): Promise<Row[]> =>
    await eventually(
      `there are ${count} of ${tool}`,
      async () => {
        const found = (await rows()).filter((row) => row.tool === tool);
        return found.length >= count && found;
      },
      TAKEN_OVER_MS,
    );

  it("holds each call once, with how it ended, and nothing that was said", async () => {
    const command = `echo ${SECRET}; exit 3`;
    const { structured } = await run(command, "three");
    expect(structured.exit_code).to.equal(3);
    await run(command, "three"); // the same call
    await client.call("read_file", { session_id: sid, path: `${SECRET}.txt` });
    await client.call("read_file", { session_id: sid, path: 7 });
    await client.call("get_session", { session_id: sid });
    await has(1, "get_session");
    const [failing, refused] = await has(2, "read_file");
    expect([failing!.outcome, refused!.outcome]).to.deep.equal(["NOT_FOUND", "INVALID_ARGUMENT"]);
    const [ran, ...others] = await has(1, "run_command");
    expect(others).to.deep.equal([]);
    expect(ran).to.include({ principal: "anonymous", state: "done", outcome: "OK", exit_code: 3 });
    expect(ran).to.include({ output_bytes: String(SECRET.length + 1) });
    expect(ran!.worker).to.match(/^w_/);
    expect(ran!.arguments_hash).to.match(/^[\w-]{43}$/);
    expect(await has(1, "create_session")).to.have.length(1);
    expect(JSON.stringify(await postgres.query("SELECT * FROM audit_calls"))).not.to.include(SECRET);
  });

  it("goes on on another replica when the one that keeps it dies, and misses nothing", async () => {
    const keeper = await redis.get(keys.auditKeeper);
    const isKeeper = ({ log }: { log: string }): boolean => log.includes(`"replica":"${keeper}"`);
    expect(stack.coordinators.filter(isKeeper)).to.have.length(1);
    const dying = stack.coordinators.findIndex(isKeeper);
    stack.coordinators[dying]!.signal("SIGKILL");
    await client.close().catch(() => {});
    client = await connectModern(stack.urls[1 - dying]!);
    for (let i = 0; i < 5; i++) await client.call("write_file", { session_id: sid, path: "f", content: `${i}` });
    expect(await has(5, "write_file")).to.have.length(5);
  });

  it("catches up after Postgres was away, while calls went on", async () => {
    await postgres.stop();
    for (let i = 0; i < 10; i++) expect((await run("true", `away-${i}`)).structured.exit_code).to.equal(0);
    expect(failureOf(await client.call("get_session", { session_id: "ses_00000000000000000000000000" }))).to.equal(
      "SESSION_NOT_FOUND",
    );
    await postgres.again();
    expect(await has(11, "run_command")).to.have.length(11);
  });

  it("drops the oldest and says so when Postgres is away for longer than Redis holds", async () => {
    const running = stack.coordinators.find(({ isRunning }) => isRunning)!;
    const said = running.line(/the audit's oldest entries were dropped/, TAKEN_OVER_MS);
    said.catch(() => {});
    await postgres.stop();
    const before = (await client.call("list_files", { session_id: sid })).structured;
    expect(before).to.have.property("entries");
    for (let i = 0; i < 5 * STREAM_MAX; i++) await client.call("list_sessions");
    await client.call("list_artifacts", { session_id: sid });
    await postgres.again();
    await has(1, "list_artifacts");
    await said;
    expect((await rows()).filter(({ tool }) => tool === "list_files")).to.deep.equal([]);
  });

  it("tells a principal its calls that the records have forgotten, of a session, or of all where none is named", async () => {
    const listed = async (args: object): Promise<string[]> => {
      const { calls } = (await client.call("list_calls", { limit: 200, ...args })).structured;
      return (calls as { call_id: string }[]).map(({ call_id }) => call_id);
    };
    const audited = (await rows()).map(({ id }) => id).filter((id) => id.startsWith("call_"));
    const [forgotten = ""] = audited;
    await redis.del(keys.call(sid as SessionId, forgotten as CallId)); // as an hour later
    const own = await listed({ session_id: sid });
    expect(own).to.include.members(audited);
    expect(new Set(own).size, "each once").to.equal(own.length);
    const all = await listed({});
    expect(all).to.include.members(audited);
    expect(all[0], "the newest first: the default session's own").not.to.be.oneOf(audited);
    expect(all.filter((id) => !id.startsWith("call_"))).to.deep.equal([]);
  });

  it("knows sessions, closed or lost, that a Redis which lost everything does not, and brings their files back", async () => {
    await client.call("write_file", { session_id: sid, path: "kept", content: "still here" });
    const name = "before the loss";
    const { checkpoint_id } = (await client.call("create_checkpoint", { session_id: sid, name })).structured;
    await eventually("what makes it is kept", async () => {
      const found = await postgres.query("SELECT id FROM checkpoints WHERE id = $1", [checkpoint_id]);
      return found.length > 0;
    });
    const closed = String((await client.call("create_session")).structured.session_id);
    await client.call("close_session", { session_id: closed });
    await eventually("its end is kept", async () => {
      const [row] = await postgres.query("SELECT closed_at FROM sessions WHERE id = $1", [closed]);
      return row?.closed_at;
    });
    await redis.flushall();
    const state = async (id: string) => (await client.call("get_session", { session_id: id })).structured.state;
    expect([await state(sid), await state(closed)]).to.deep.equal(["lost", "closed"]);
    const listed = (await client.call("list_sessions")).structured.sessions as { session_id: string }[];
    expect(listed.map(({ session_id: id }) => id))
      .to.include(sid)
      .and.not.to.include(closed);
    const { calls } = (await client.call("list_calls", { session_id: closed })).structured;
    expect((calls as { tool: string }[]).map(({ tool }) => tool)).to.deep.equal(["close_session", "create_session"]);
    expect(failureOf(await client.call("run_command", { session_id: sid, command: "true" }))).to.equal(
      "SESSION_NOT_FOUND",
    );

    await stack.workers[0]!.stop(60_000, "SIGINT");
    await stack.addWorker(); // it writes in another part of the store
    const found = (await client.call("list_checkpoints")).structured.checkpoints as Record<string, unknown>[];
    expect(found.find((one) => one.checkpoint_id === checkpoint_id)).to.include({ name, session_id: sid });
    const again = (await client.call("create_session", { from_checkpoint: checkpoint_id })).structured.session_id;
    const { structured } = await client.call("read_file", { session_id: again, path: "kept" });
    expect(structured.content).to.equal("still here");
    await client.call("write_file", { session_id: again, path: "new", content: "x" });
    const next = (await client.call("create_checkpoint", { session_id: again })).structured.checkpoint_id;
    const third = (await client.call("create_session", { from_checkpoint: next })).structured.session_id;
    expect((await client.call("read_file", { session_id: third, path: "kept" })).isError).to.equal(false);
    expect((await client.call("delete_checkpoint", { checkpoint_id })).structured.deleted).to.equal(true);
    expect(failureOf(await client.call("create_session", { from_checkpoint: checkpoint_id }))).to.equal("NOT_FOUND");
  });
});
