import { expect } from "chai";
import { useInterpreters } from "../support/use-interpreters.ts";

type Structured = Record<string, unknown>;

describe("run_code", () => {
  const own = useInterpreters();
  const { openSession, closeSession, run } = own;

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
        await own.client.call("run_command", { session_id: own.session_id, command: files });
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
});
