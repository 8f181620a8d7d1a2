import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { begin, type ToolClient } from "../support/tool-client.ts";

const BROKEN = "def mean(values):\n    return sum(values) / (len(values) - 1)\n";
const MENDED = "def mean(values):\n    return sum(values) / len(values)\n";
const TEST = "from stats import mean\n\n\ndef test_mean():\n    assert mean([1, 2, 3]) == 2\n";
const SLOW = "for i in 1 2 3 4; do echo step $i of 4; sleep 0.3; done";

/** What `npm run demo` does, by any client: every step does what it should, whoever asks and whichever replica answers. */
export const demoSession = async (client: ToolClient): Promise<void> => {
  const created = await client.call("create_session");
  const { session_id, workdir } = created.structured;
  expect(session_id).to.match(/^ses_/);
  expect(created.text).to.include(session_id).and.to.include(workdir);
  const call: ToolClient["call"] = async (name, args, options) => {
    const answer = await client.call(name, { session_id, ...args }, options);
    expect(answer.isError, answer.text).to.equal(false);
    return answer;
  };

  await call("write_file", { path: "stats.py", content: BROKEN });
  await call("write_file", { path: "test_stats.py", content: TEST });

  let streamed = "";
  const onText = (text: string): void => {
    streamed += text;
  };
  const failing = await call("run_command", { command: "python3 -m pytest -q", wait_ms: 50_000 }, { onText });
  expect(failing.structured).to.include({ status: "exited", exit_code: 1 });
  expect(failing.structured.stdout).to.include("1 failed");
  expect(streamed, "what was streamed is what was printed").to.equal(failing.structured.stdout);

  await call("write_file", { path: "stats.py", content: MENDED });
  const passing = await call("run_command", { command: "python3 -m pytest -q", wait_ms: 50_000 });
  expect(passing.structured.exit_code).to.equal(0);
  expect(passing.text).to.include("1 passed");

  const steps: string[] = [];
  const slow = await call("run_command", { command: SLOW }, { onText: (text) => steps.push(text) });
  expect(slow.structured.exit_code).to.equal(0);
  expect(steps.length, "output came while it ran").to.be.greaterThan(1);
  expect(steps.join("")).to.equal("step 1 of 4\nstep 2 of 4\nstep 3 of 4\nstep 4 of 4\n");

  await cancelOne(client, session_id);

  expect((await call("close_session")).structured.closed).to.equal(true);
  const after = await client.call("get_session", { session_id });
  expect(after.structured.code).to.equal("SESSION_NOT_FOUND");
};

const cancelOne = async (client: ToolClient, session_id: unknown): Promise<void> => {
  const abort = new AbortController();
  const { answer } = await begin(
    client,
    "run_command",
    { session_id, command: "echo started; sleep 60" },
    abort.signal,
  );
  abort.abort();
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, "the client gave up").to.be.an("error");
  const newest = async (): Promise<Record<string, unknown>> => {
    const { structured } = await client.call("list_processes", { session_id, limit: 1 });
    return (structured.processes as Record<string, unknown>[])[0] ?? {};
  };
  const { process_id } = await newest();
  if (!client.cancelsByAbort) await client.call("kill_process", { session_id, process_id });
  await eventually("the cancelled command is killed", async () => (await newest()).status === "killed");
};
