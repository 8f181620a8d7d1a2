import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { begin, connectModern, failureOf, type ToolAnswer, type ToolClient } from "../support/tool-client.ts";
import { useCluster } from "../support/use-cluster.ts";

type Structured = Record<string, unknown>;

/** Stands in for matplotlib, which the image has not: figures that know how to save themselves, by its own interface. */
const STAND_IN = `
import os
os.makedirs("matplotlib", exist_ok=True)
open("matplotlib/__init__.py", "w").write("")
open("matplotlib/pyplot.py", "w").write('''
import base64
_PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
_figures = {}
class Figure:
    def savefig(self, file, format): file.write(_PNG)
def figure(number=None):
    number = number or len(_figures) + 1
    return _figures.setdefault(number, Figure())
def plot(*points): figure(max(_figures, default=1))
def get_fignums(): return sorted(_figures)
def close(which): _figures.clear()
def show(): raise RuntimeError("there is no screen")
''')`;

describe("run_code", () => {
  const cluster = useCluster();
  let client: ToolClient;
  let session_id: unknown;
  before(async () => {
    client = await connectModern(cluster.url);
  });
  cluster.beforeStop(() => client.close());
  /** A session has few interpreters: the tests of a describe share one. */
  const openSession = async (): Promise<void> => {
    session_id = (await client.call("create_session")).structured.session_id;
  };
  const closeSession = async (): Promise<unknown> => await client.call("close_session", { session_id });
  const call = async (language: string, code: string, more: Structured = {}): Promise<ToolAnswer> =>
    await client.call("run_code", { session_id, language, code, wait_ms: 50_000, ...more });
  const run = async (language: string, code: string, more: Structured = {}): Promise<Structured> =>
    (await call(language, code, more)).structured;
  const stop = async (language: string, more: Structured): Promise<Structured> =>
    (await client.call("run_code", { session_id, language, ...more })).structured;
  const python = async (code: string, more: Structured = {}) => await run("python", code, more);

  describe("of Python", () => {
    before(openSession);
    after(closeSession);

    it("keeps names, gives the last expression's value, and its output apart", async () => {
      const first = await call("python", "import sys\nx = 41\nprint('out')\nprint('err', file=sys.stderr)\nx + 1");
      expect(first.structured).to.include({
        status: "exited",
        exit_code: 0,
        stdout: "out\n",
        stderr: "err\n",
        result: "42",
      });
      expect(first.text)
        .to.include("exit code 0")
        .and.to.include("--- stdout ---\nout")
        .and.to.include("--- result ---\n42");
      expect(await python("x += 1; x")).to.include({ result: "42", stdout: "" });
      expect(await python("y = x")).to.not.have.property("result");
      expect(await python("None")).to.not.have.property("result");
      expect(await python("'größer ' * 2")).to.include({ result: "'größer größer '" });
    });

    it("has a context of its own for every name, and begins anew on reset", async () => {
      expect(await python("x", { context: "other" })).to.include({ exit_code: 1 });
      await python("x = 'mine'", { context: "other" });
      expect(await python("x")).to.include({ result: "42" });
      expect(await python("'x' in globals()", { context: "other", reset: true })).to.include({ result: "False" });
      await python("x = 1", { context: "other" });
      expect(await stop("python", { context: "other", reset: true })).to.include({ status: "reset" });
      expect(await python("x", { context: "other" })).to.include({ exit_code: 1 });
    });

    it("shows tracebacks with the code's own lines and names", async () => {
      const { stderr, exit_code, status } = await python("def f(a):\n    return 1 / a\n\nf(0)", { context: "trace" });
      expect({ status, exit_code }).to.deep.equal({ status: "exited", exit_code: 1 });
      expect(stderr).to.match(
        /^Traceback \(most recent call last\):\n {2}File "\S+\/trace-1.py", line 4, in <module>\n {4}f\(0\)\n/,
      );
      expect(stderr).to.match(
        /trace-1.py", line 2, in f\n {4}return 1 \/ a\n.*\n?ZeroDivisionError: division by zero\n$/,
      );
      const later = await python("\nf(0)", { context: "trace" });
      expect(later.stderr).to.include('trace-2.py", line 2, in <module>').and.to.include('trace-1.py", line 2, in f');
      const syntax = await python("x = 1\nif x\n  pass", { context: "trace" });
      expect(syntax.stderr).to.match(/^ {2}File "\S+trace-3.py", line 2\n.*if x\n.*\nSyntaxError: /s);
      expect(await python("__file__, __name__", { context: "trace" }))
        .to.have.property("result")
        .that.match(/trace-4.py', '__main__'/);
      const source = await python("import inspect; print(inspect.getsource(f))", { context: "trace" });
      expect(source.stdout).to.equal("def f(a):\n    return 1 / a\n\n");
    });

    it("awaits at the top level, on one loop, and leaves asyncio.run to those who want it", async () => {
      const code =
        "import asyncio\nawait asyncio.sleep(0.01)\nevent = asyncio.Event()\ntask = asyncio.create_task(event.wait())";
      expect(await python(code)).to.include({ exit_code: 0, stderr: "" });
      expect(await python("event.set()\nawait task")).to.include({ result: "True" });
      expect(await python("async def main(): return 7\nasyncio.run(main())")).to.include({ result: "7" });
      expect((await python("async def broken():\n  raise ValueError('b')\nawait broken()")).stderr).to.match(
        /^Traceback[^\n]*\n {2}File "\S+main-\d+.py", line 3, in <module>\n[\s\S]*ValueError: b\n$/,
      );
    });

    it("ends a piece of code, not the interpreter, by sys.exit", async () => {
      expect(await python("import sys; kept = 1; sys.exit(3)")).to.include({ status: "exited", exit_code: 3 });
      expect(await python("kept")).to.include({ result: "1" });
      const gone = await python("import os; os._exit(4)");
      expect(gone).to.include({ status: "exited", exit_code: 4 });
      expect(gone.notice).to.include("state is gone");
      expect(await python("'kept' in globals()")).to.include({ result: "False" });
    });

    it("has no input to wait for, and shows what its children write", async () => {
      expect((await python("input()")).stderr).to.include("EOFError");
      const { stdout } = await python(
        "import subprocess\nprint('before')\nsubprocess.run(['echo', 'child'])\nprint('after')",
      );
      expect(stdout).to.equal("before\nchild\nafter\n");
    });

    it("takes source of any size, and gives long output and results bounded", async () => {
      const lines = Array.from({ length: 5_000 }, (_, i) => `v${i} = ${i}`).join("\n");
      const text = "x".repeat(3_000_000);
      expect(await python(`${lines}\ntext = "${text}"\nlen(text) + v4999`)).to.include({ result: "3004999" });
      const { stdout, truncated, log_path, result } = await python("print('line\\n' * 100000)\n'x' * 10**6");
      expect(truncated).to.equal(true);
      expect((stdout as string).length).to.be.below(32_000);
      expect(log_path).to.be.a("string");
      expect((result as string).length).to.be.below(32_000);
    });

    it("gives plots as images, at plt.show() and at the end", async () => {
      await python(STAND_IN);
      const shown = await call(
        "python",
        "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\nplt.plot([2])\nplt.figure(7)\n1",
      );
      expect(shown.structured).to.include({ exit_code: 0, stderr: "", result: "1" });
      expect(shown.images).to.have.length(3);
      for (const { data, mimeType } of shown.images) {
        expect(mimeType).to.equal("image/png");
        expect(Buffer.from(data, "base64").subarray(1, 4).toString()).to.equal("PNG");
      }
      expect(shown.structured.images).to.deep.include({ mime: "image/png", size_bytes: 70 });
      expect(JSON.stringify(shown.structured)).to.not.include(shown.images[0]?.data);
      expect((await call("python", "1")).images, "each once").to.have.length(0);
      const { call_id } = (
        (await client.call("list_calls", { session_id, limit: 2 })).structured.calls as Structured[]
      )[1]!;
      const again = await client.call("get_call", { call_id });
      expect(again.images).to.have.length(3);
    });
  });

  for (const language of ["javascript", "typescript"]) {
    describe(`of ${language}`, () => {
      before(openSession);
      after(closeSession);
      const js = async (code: string, more: Structured = {}) => await run(language, code, more);

      it("keeps names, lets them be declared again, and gives the last expression's value", async () => {
        expect(await js("const x = 41; console.log('out'); console.error('err'); x + 1")).to.include({
          ...{ status: "exited", exit_code: 0, stdout: "out\n", stderr: "err\n", result: "42" },
        });
        expect(await js("const x = { a: [1, 'b'] }\nx")).to.include({ result: "{ a: [ 1, 'b' ] }" });
        expect(await js("function f() { return x.a.length }")).to.not.have.property("result");
        expect(await js("f()")).to.include({ result: "2" });
        expect(await js("let s = 'größer'; s")).to.include({ result: "'größer'" });
      });

      it("awaits at the top level, and waits for a last expression that is a promise", async () => {
        expect(await js("const y = await new Promise(r => setTimeout(r, 10, 5)); y * 2")).to.include({ result: "10" });
        const main =
          "async function main() { await new Promise(r => setTimeout(r, 10)); console.log('done'); return 3 }\nmain()";
        expect(await js(main)).to.include({ stdout: "done\n", result: "3" });
      });

      it("imports and requires from the workspace", async () => {
        const files =
          "echo 'export default 1; export const two = 2' > m.mjs; echo 'module.exports = 3' > c.cjs; echo '{\"four\":4}' > d.json";
        await client.call("run_command", { session_id, command: files });
        const code = [
          "import one, { two as deux } from './m.mjs';",
          "import {",
          "  basename,",
          "} from 'node:path'",
          "import * as fs from 'node:fs';",
          "import data from './d.json' with { type: 'json' };",
          "const three = require('./c.cjs');",
          "const late = (await import('./m.mjs')).two;",
          "export const sum = one + deux + three + late + data.four;",
          "[sum, basename(__filename), basename(import.meta.filename), fs.existsSync(__dirname), new Error().stack.split('\\n')[1]]",
        ].join("\n");
        const { result, stderr } = await js(code, { context: "imports" });
        expect(stderr).to.equal("");
        const extension = language === "javascript" ? "js" : "ts";
        expect(result).to.include("12,").and.to.include(`'imports-1.${extension}'`).and.to.include("true");
        expect(result, "lines have not moved").to.match(/imports-1\.\ws:10:\d+/);
      });

      it("shows where an error came from", async () => {
        const { stderr, exit_code } = await js("function g() {\n  throw new TypeError('bad')\n}\n\ng()", {
          context: "trace",
        });
        expect(exit_code).to.equal(1);

        expect(stderr).to.match(/^TypeError: bad\n {4}at g \(\S+trace-1\.\ws:2:9\)\n {4}at \S+trace-1\.\ws:5:1\n$/);
        const syntax = (await js("let a = 1\nlet b = ;", { context: "trace" })).stderr;
        expect(syntax)
          .to.match(/SyntaxError|Expression expected/)
          .and.to.match(/let b = ;/);
        const json = (await js("JSON.parse('{')", { context: "trace" })).stderr;
        expect(json).to.match(/^SyntaxError: .*\n {4}at JSON.parse/);
        expect((await js("throw 5", { context: "trace" })).stderr).to.equal("Uncaught 5\n");
        const late = await js(
          "setTimeout(() => { throw new Error('late') }); await new Promise(r => setTimeout(r, 50)); 1",
        );
        expect(late).to.include({ result: "1" });
        expect(late.stderr).to.include("Uncaught Error: late");
      });

      it("ends its interpreter, and says so, by process.exit", async () => {
        const gone = await js("console.log('bye'); process.exit(3)", { context: "exit" });
        expect(gone).to.include({ status: "exited", exit_code: 3, stdout: "bye\n", stderr: "" });
        expect(gone.notice).to.include("state is gone");
        expect(await js("typeof x", { context: "exit" })).to.include({ result: "'undefined'" });
      });
    });
  }

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
        const { answer } = await begin(client, "run_code", { session_id, language, code: loop, context: "endless" });
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
        return (await client.call("read_process", { process_id })).structured.output === "up\n";
      });
      await eventually("the lane is free", async () => {
        return (await client.call("get_call", { call_id })).structured.state === "detached";
      });
      const busy = await call("python", "1", { context: "slow" });
      expect(failureOf(busy), busy.text).to.equal("QUEUE_FULL");
      expect(busy.text).to.include("interrupt");
      expect(await python("1", { context: "free" })).to.include({ result: "1" });
      const killed = await client.call("kill_process", { process_id });
      expect(killed.structured).to.include({ status: "killed" });
      const left = await client.call("run_command", { session_id, command: "pgrep -f 'sleep 432[1]' | wc -l" });
      expect(left.structured.stdout).to.equal("0\n");
      const listed = (await client.call("list_processes", { session_id })).structured.processes as Structured[];
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
      const { answer } = await begin(client, "run_code", { session_id, language: "python", code }, abort.signal);
      abort.abort();
      await answer.catch(() => {});
      await eventually("nothing of it runs", async () => {
        const { structured } = await client.call("run_command", {
          session_id,
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
        const answer = await client.call("run_code", { session_id, ...args });
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
