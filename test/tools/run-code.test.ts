import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { begin, failureOf } from "../support/tool-client.ts";
import { useInterpreters } from "../support/use-interpreters.ts";

type Structured = Record<string, unknown>;

describe("run_code", () => {
  const own = useInterpreters();
  const { openSession, closeSession, call, run, stop, python } = own;

  describe("of bash", () => {
    before(openSession);
    after(closeSession);
    const bash = async (code: string, more: Structured = {}) => await run("bash", code, more);

    it("keeps variables, functions and the folder, and gives each piece's exit status", async () => {
      expect(await bash('x=5; mkdir -p sub; cd sub; f() { echo "f $1"; }')).to.include({
        status: "exited",
        exit_code: 0,
      });
      expect(await bash('f $x; basename "$PWD"; false')).to.include({ exit_code: 1, stdout: "f 5\nsub\n" });
      expect(await bash("return 7")).to.include({ exit_code: 7 });
      expect(await bash("cat; echo no input")).to.include({ stdout: "no input\n" });
    });

    it("names its piece and line in errors", async () => {
      const { stderr, exit_code } = await bash("true\nno_such_command\n", { context: "errors" });
      expect(exit_code).to.equal(127);
      expect(stderr).to.match(/errors-1.sh: line 2: no_such_command: command not found/);
      expect((await bash("if then", { context: "errors" })).stderr).to.match(/errors-2.sh: line 1: syntax error/);
      expect(await bash("set -x; true", { context: "errors" }))
        .to.have.property("stderr")
        .that.not.include("codegen");
      expect(await bash("echo fine", { context: "errors" })).to.include({ stdout: "fine\n", stderr: "" });
    });

    it("ends its shell, and says so, by exit", async () => {
      const gone = await bash("echo bye; exit 3", { context: "exit" });
      expect(gone).to.include({ status: "exited", exit_code: 3, stdout: "bye\n" });
      expect(gone.notice).to.include("state is gone");
    });
  });

  describe("of any language", () => {
    before(openSession);
    after(closeSession);

    it("of TypeScript drops types and runs enums, with lines as they were", async () => {
      const code =
        "interface P { a: number }\nconst p: P = { a: 1 };\nfunction h<T>(t: T): T { return t }\nh<number>(p.a) as number";
      expect(await run("typescript", code)).to.include({ result: "1", stderr: "" });
      const enums =
        "enum Color {\n  Red,\n  Green = 5,\n}\n// a comment\nclass Q { constructor(private n: number) {} get() { return this.n } }\nnew Q(Color.Green).get()";
      expect(await run("typescript", enums)).to.include({ result: "5", stderr: "" });
      const thrown = "enum E { A }\n\n// gone\nfunction t(): never {\n  throw new Error('e' + E.A)\n}\nt()";
      const { stderr } = await run("typescript", thrown, { context: "enum" });
      expect(stderr)
        .to.match(/enum-1.ts:5:\d+/)
        .and.to.match(/enum-1.ts:7:\d+/);
    });

    const ENDLESS: [language: string, set: string, loop: string, look: string, value: string][] = [
      ["python", "kept = 1", "import time\nprint('started', flush=True)\nwhile True: time.sleep(0.01)", "kept", "1"],
      ["python", "kept = 1", "import asyncio\nprint('started')\nawait asyncio.sleep(100)", "kept", "1"],
      ["javascript", "const kept = 1", "console.log('started'); while (true);", "kept", "1"],
      ["javascript", "const kept = 1", "console.log('started'); await new Promise(() => {})", "kept", "1"],
      ["typescript", "const kept = 1", "console.log('started'); await null; while (true);", "kept", "1"],
      ["bash", "kept=1", "echo started; while :; do :; done", "echo $kept", "1"],
      ["bash", "kept=1", "f() { sleep 100; echo no; }; echo started; f; echo no", "echo $kept", "1"],
    ];
    for (const [language, set, loop, look, value] of ENDLESS) {
      it(`is interrupted with its state kept: ${language}, ${loop.split("\n").at(-1)}`, async () => {
        await run(language, set, { context: "endless" });
        const { answer } = await begin(own.client, "run_code", {
          session_id: own.session_id,
          language,
          code: loop,
          context: "endless",
        });
        const interrupted = await stop(language, { context: "endless", interrupt: true });
        expect(interrupted).to.deep.equal({ status: "interrupted" });
        const { structured, text } = await answer;
        expect(structured).to.include({ status: "killed", signal: "SIGINT", exit_code: null });
        expect(structured.stdout, "Python writes the line's end by itself").to.match(/^started\n?$/);
        expect(text).to.include("keeps its state");
        const { result, stdout } = await run(language, look, { context: "endless" });
        expect(String(result ?? stdout).trim()).to.equal(value);
        expect(await stop(language, { context: "endless", interrupt: true })).to.include({ status: "idle" });
      });
    }

    it("goes on past its wait, shows its output meanwhile, refuses others in its context, and ends when it is killed", async () => {
      const code = "import subprocess, time\nprint('up', flush=True)\nsubprocess.run(['sleep', '4321'])";
      const { status, process_id, call_id } = await python(code, { context: "slow", wait_ms: 300 });
      expect(status).to.equal("running");
      await eventually("its output can be read", async () => {
        return (await own.client.call("read_process", { process_id })).structured.output === "up\n";
      });
      await eventually("the lane is free", async () => {
        return (await own.client.call("get_call", { call_id })).structured.state === "detached";
      });
      const busy = await call("python", "1", { context: "slow" });
      expect(failureOf(busy), busy.text).to.equal("QUEUE_FULL");
      expect(busy.text).to.include("interrupt");
      expect(await python("1", { context: "free" })).to.include({ result: "1" });
      const killed = await own.client.call("kill_process", { process_id });
      expect(killed.structured).to.include({ status: "killed" });
      const left = await own.client.call("run_command", {
        session_id: own.session_id,
        command: "pgrep -f 'sleep 432[1]' | wc -l",
      });
      expect(left.structured.stdout).to.equal("0\n");
      const listed = (await own.client.call("list_processes", { session_id: own.session_id })).structured
        .processes as Structured[];
      expect(listed.map(({ command }) => command)).to.include(`python: ${code}`);
    });

    it("is stopped at its deadline, and where it does not heed that, its interpreter ends", async () => {
      await python("kept = 2");
      const { notice, ...rest } = await python("import time\ntime.sleep(100)", { timeout_ms: 500 });
      expect(rest).to.include({ status: "timed_out", exit_code: null });
      expect(notice).to.include("keeps its state");
      expect(await python("kept")).to.include({ result: "2" });
      const deaf = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)";
      const gone = await python(deaf, { timeout_ms: 3_000, context: "deaf" });
      expect(gone).to.include({ status: "timed_out" });
      expect(gone.notice).to.include("state is gone");
    });

    it("is ended with its interpreter when it says nonsense to us", async () => {
      const { structured } = await call("python", "import os\nos.write(4, b'nonsense\\n')", { context: "liar" });
      expect(structured).to.include({ status: "killed" });
      expect(structured.notice).to.include("state is gone");
      expect(await python("1", { context: "liar" })).to.include({ result: "1" });
    });

    it("is cancelled by its client's leaving", async () => {
      const abort = new AbortController();
      const code = "import subprocess\nprint('up', flush=True)\nsubprocess.run('setsid sleep 8765', shell=True)";
      const { answer } = await begin(
        own.client,
        "run_code",
        { session_id: own.session_id, language: "python", code },
        abort.signal,
      );
      abort.abort();
      await answer.catch(() => {});
      await eventually("nothing of it runs", async () => {
        const { structured } = await own.client.call("run_command", {
          session_id: own.session_id,
          command: "pgrep -f 'sleep 876[5]' | wc -l",
        });
        return structured.stdout === "0\n";
      });
    });

    it("refuses what makes no sense", async () => {
      const refusals: Structured[] = [
        { language: "python" },
        { language: "cobol", code: "1" },
        { language: "python", code: "1", context: "a b" },
        { language: "python", code: "a\0b" },
        { language: "python", code: "1", interrupt: true },
        { language: "python", reset: true, interrupt: true },
      ];
      for (const args of refusals) {
        const answer = await own.client.call("run_code", { session_id: own.session_id, ...args });
        expect(failureOf(answer), `${JSON.stringify(args)}: ${answer.text}`).to.equal("INVALID_ARGUMENT");
      }
      let answer = await call("bash", "true", { context: "c0" });
      for (let i = 1; i <= 16 && !answer.isError; i++) answer = await call("bash", "true", { context: `c${i}` });
      expect(failureOf(answer)).to.equal("QUOTA_EXCEEDED");
      await stop("bash", { context: "c0", reset: true });
      expect(await run("bash", "true", { context: "another" })).to.include({ exit_code: 0 });
    });
  });
});
