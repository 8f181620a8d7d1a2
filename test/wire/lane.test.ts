import { expect } from "chai";
import { UNTIL_GO } from "../support/commands.ts";
import { eventually } from "../support/eventually.ts";
import {
  begin,
  connectModern,
  connectV1,
  failureOf,
  type ToolAnswer,
  type ToolClient,
} from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

const CALLS = 12;
/** Leaves its caller by every way out: another session, a double fork, without its environment. */
const RUNAWAY = `(setsid bash -c 'sleep 1001 & exec env -i setsid sleep 1002' &)
env -i setsid sleep 1003 & echo started; sleep 1004`;

describe("A session's lane", () => {
  const cluster = useCluster();
  let replicas: ToolClient[];
  let legacy: ToolClient;
  let session_id: unknown;
  before(async () => {
    replicas = await Promise.all(cluster.stack.urls.map((url) => connectModern(url)));
    legacy = await connectV1(cluster.url);
  });
  cluster.beforeStop(() => Promise.all([...replicas, legacy].map((client) => client.close())));
  beforeEach(async () => {
    session_id = (await replicas[0]!.call("create_session")).structured.session_id;
  });
  afterEach(() => replicas[0]!.call("close_session", { session_id }));

  const run = (client: ToolClient, command: string, signal?: AbortSignal): Promise<ToolAnswer> =>
    client.call("run_command", { session_id, command, wait_ms: 50_000 }, signal ? { signal } : {});
  const countCalls = async (): Promise<number> => {
    const { structured } = await replicas[1]!.call("list_calls", { session_id });
    return (structured.calls as unknown[]).length;
  };
  /** Submits a call and resolves when it stands in the lane. */
  const submit = async (client: ToolClient, command: string, signal?: AbortSignal) => {
    const before = await countCalls();
    const answer = run(client, command, signal);
    answer.catch(() => {}); // who awaits it is told
    await eventually("the call is in its lane", async () => (await countCalls()) > before);
    return { answer };
  };
  const sleepers = async (): Promise<string> =>
    (await run(replicas[1]!, "pgrep -af '^sleep 100' || true")).structured.stdout as string;

  it("runs calls in the order they came, whichever replica took them", async () => {
    const first = await begin(replicas[0]!, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const answers: Promise<ToolAnswer>[] = [];
    for (let n = 0; n < CALLS; n++) {
      const { answer } = await submit(replicas[n % 2]!, `echo ${n} >> order; [ $(wc -l < order) -eq ${n + 1} ]`);
      answers.push(answer);
    }
    const { structured } = await replicas[0]!.call("list_processes", { session_id });
    const running = (structured.processes as { status: string }[]).filter(({ status }) => status === "running");
    expect(running, "a mutating call runs alone").to.have.length(1);
    // The lane is held by the first command, so `go` comes by another way than through it.
    await cluster.exec(session_id, "touch go");
    await first.answer;
    for (const answer of await Promise.all(answers)) expect(answer.structured.exit_code, answer.text).to.equal(0);
    const order = (await run(replicas[1]!, "cat order")).structured.stdout;
    expect(order).to.equal(Array.from({ length: CALLS }, (_, n) => `${n}\n`).join(""));
  });

  it("never starts a call that was cancelled while it was queued", async () => {
    const first = await begin(replicas[0]!, "run_command", { session_id, command: UNTIL_GO, wait_ms: 50_000 });
    const abort = new AbortController();
    const { answer } = await submit(replicas[1]!, "touch ran", abort.signal);
    abort.abort();
    await answer.catch(() => {});
    const states = async (): Promise<string[]> => {
      const { structured } = await replicas[0]!.call("list_calls", { session_id });
      return (structured.calls as { state: string }[]).map(({ state }) => state);
    };
    await eventually("it is cancelled", async () => (await states()).includes("cancelled"));
    await cluster.exec(session_id, "touch go");
    await first.answer;
    expect(failureOf(await replicas[0]!.call("read_file", { session_id, path: "ran" }))).to.equal("NOT_FOUND");
  });

  for (const era of ["2026", "2025"]) {
    it(`ends a cancelled command with everything it started, asked by a client of ${era}`, async () => {
      const client = era === "2026" ? replicas[0]! : legacy;
      const abort = new AbortController();
      const args = { session_id, command: RUNAWAY, wait_ms: 50_000 };
      const { answer } = await begin(client, "run_command", args, abort.signal);
      abort.abort();
      await answer.catch(() => {});
      // A command behind it in the lane starts when the cancelled one has ended, and then nothing of it may be left.
      expect(await sleepers()).to.equal("");
    });
  }
});
