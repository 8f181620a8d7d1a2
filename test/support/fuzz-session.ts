import { expect } from "chai";
import type { Tool } from "../../shared/catalog/index.ts";
import { isFailureCode } from "../../shared/failure.ts";
import { eventually } from "./eventually.ts";
import type { Pools } from "./fuzzed-arguments.ts";
import type { ToolAnswer } from "./tool-client.ts";

type Args = Record<string, unknown>;
export type Call = (tool: string, args: unknown) => Promise<ToolAnswer>;

const FILES =
  "mkdir -p d/e; echo one > f; printf '\\xff\\0' > bin; echo x > d/x; ln -s / out; ln -s loop loop; mkfifo fifo; seq 9999 > long";
const PATHS = [
  "f",
  "bin",
  "d",
  ".",
  "d/x",
  "d/new",
  "out/etc",
  "loop",
  "fifo",
  "long",
  "../f",
  "/etc/passwd",
  "no",
  "f/x",
  "",
];

/** A session with some files, an ended process and calls, which fuzzed arguments may name. */
export class FuzzSession {
  #id: string | undefined;
  pools: Pools = {};

  constructor(private readonly call: Call) {}

  /** Goes on with the session, or makes a new one when a fuzzed call has ended it. */
  async ready(): Promise<void> {
    if (this.#id && !(await this.call("run_command", { session_id: this.#id, command: "true" })).isError) return;
    const session = await eventually("a session is made", async () => {
      const { isError, structured } = await this.call("create_session", {});
      return isError ? undefined : String(structured.session_id);
    });
    this.#id = session;
    const args = { session_id: session, command: FILES, wait_ms: 50_000 };
    const { process_id } = (await this.call("run_command", args)).structured;
    const { calls } = (await this.call("list_calls", { session_id: session })).structured as { calls: Args[] };
    const callIds = calls.map(({ call_id }) => String(call_id));
    this.pools = {
      session_id: [session, session, session, "ses_absent", "x"],
      process_id: [String(process_id), "proc_absent"],
      call_id: [...callIds, "call_absent"],
      task_id: [...callIds, "absent"],
      ...{ path: PATHS, cwd: PATHS, file: PATHS, paths: PATHS },
      command: ["true", "cat f", "exit 3", "printf '\\xff'", "kill -9 $$", "cd /; ls"],
      code: ["1 + 1", "x =", "raise SystemExit(3)", "throw 1"],
      old_string: ["one", "o", "absent"],
      glob: ["*", "**/*.py", "!x", "{a,b}"],
      patch: ["--- a/f\n+++ b/f\n@@ -1 +1 @@\n-one\n+two\n", "*** Begin Patch\n*** Delete File: d/x\n*** End Patch"],
      since: ["session", "last_call"],
      cursor: ["0", "1-1", "9-9"],
      idempotency_key: ["k1", "k2"],
      grep: ["o", "(a+)+$"],
    };
  }

  /** Sessions that a fuzzed call made are of no use to anybody. */
  async closeMade(structured: Args): Promise<void> {
    const made = [structured.session_id, ...((structured.session_ids as unknown[] | undefined) ?? [])];
    for (const id of made)
      if (id !== undefined && id !== this.#id) await this.call("close_session", { session_id: id });
  }
}

/** Whatever was asked: an answer that a model can read and a program can rely on. */
export const expectTyped = (tool: Tool, { structured, isError, text, images }: ToolAnswer): void => {
  const mayBeEmpty = tool.name.includes("read") || tool.toolset === "codegen-mcp"; // an empty file's text is none
  expect(mayBeEmpty || text !== "" || images.length > 0, "something to read").to.equal(true);
  if (isError) {
    const { code, message, retryable } = structured;
    expect(isFailureCode(String(code)), `the code ${code} (${text})`).to.equal(true);
    expect(code, String(message)).to.not.equal("INTERNAL");
    expect(message).to.be.a("string").that.is.not.empty;
    expect(retryable).to.be.a("boolean");
  } else {
    const { success, error } = tool.output.safeParse(structured);
    expect(success, `${JSON.stringify(structured).slice(0, 500)}: ${error?.message}`).to.equal(true);
  }
};
