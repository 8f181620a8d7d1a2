import { expect } from "chai";
import { useInterpreters } from "../support/use-interpreters.ts";

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
  const own = useInterpreters();
  const { openSession, closeSession, call, stop, python } = own;

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
        (await own.client.call("list_calls", { session_id: own.session_id, limit: 2 })).structured.calls as Structured[]
      )[1]!;
      const again = await own.client.call("get_call", { call_id });
      expect(again.images).to.have.length(3);
    });
  });
});
