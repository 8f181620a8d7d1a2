import { expect } from "chai";
import { connectModern, failureOf, type ToolAnswer, type ToolClient } from "./tool-client.ts";
import { useCluster } from "./use-cluster.ts";

type Args = Record<string, unknown>;

/** A session of the shared cluster whose workspace is empty before each test of a `describe`, and what tests do with it. */
export const useWorkspace = () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(async () => {
    await client.call("close_session", { session_id });
    await client.close();
  });
  beforeEach(async () => {
    session_id ??= (await client.call("create_session")).structured.session_id;
    await sh("cd ~/workspace; find . -mindepth 1 -delete");
  });

  /** Calls a tool that is no matter of this session. */
  const ask = (tool: string, args: Args = {}): Promise<ToolAnswer> => client.call(tool, args);
  const call = (tool: string, args: Args): Promise<ToolAnswer> => client.call(tool, { session_id, ...args });
  const sh = async (command: string): Promise<string> =>
    String((await call("run_command", { command })).structured.stdout);
  const put = (path: string, content: string): Promise<ToolAnswer> => call("write_file", { path, content });
  const text = async (path: string): Promise<unknown> => (await call("read_file", { path })).structured.content;
  const refusal = async (tool: string, args: Args): Promise<ToolAnswer> => {
    const answer = await call(tool, args);
    expect(answer.isError, answer.text).to.equal(true);
    expect(answer.text.startsWith(`${failureOf(answer)}: ${answer.structured.message}`), answer.text).to.equal(true);
    return answer;
  };
  /** Each row: what is wrong, the arguments, the code, and what the text must name. */
  const refuses = (tool: string, rows: [what: string, args: Args, code: string, named: string][]): void => {
    for (const [what, args, code, named] of rows) {
      it(`refuses ${what}`, async () => {
        await put("f", "one\ntwo\n");
        const answer = await refusal(tool, args);
        expect(failureOf(answer), answer.text).to.equal(code);
        expect(answer.text).to.include(named);
      });
    }
  };
  /** Goes on in a session of which nothing is known yet. */
  const renew = async (): Promise<void> => {
    await ask("close_session", { session_id });
    session_id = (await ask("create_session")).structured.session_id;
  };
  return { ask, call, sh, put, text, refusal, refuses, renew };
};
