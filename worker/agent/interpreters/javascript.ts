/**
 * The program that runs JavaScript or TypeScript code with a state that lasts. V8's own REPL mode (of its inspector) gives
 * top-level await, redeclaration and the last expression's value, without a wrapper that would shift lines. The channel
 * (channel.ts) is read by a thread of its own: it can end code that never returns, and the state stays.
 */
import { writeSync } from "node:fs";
import { Session } from "node:inspector";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import { dirname } from "node:path";
import { inspect } from "node:util";
import vm from "node:vm";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

import { IMPORT_META, IMPORTER, rewriteModules } from "./rewrite-modules.ts";
import { type Script, stripTypes } from "./strip-types.ts";

const FROM_AGENT = 3;
const TO_AGENT = 4;
const RESULT_MAX = 1_000_000;
/** Code that waits hears of an interrupt within it; code that does not is terminated. */
const TERMINATE_AFTER_MS = 100;
const INTERRUPTED = 130;

type Message = { name: string; code: string } | "interrupt";

interface RemoteObject {
  type: string;
  value?: unknown;
  unserializableValue?: string;
  objectId?: string;
}
interface Evaluated {
  result: RemoteObject;
  exceptionDetails?: { lineNumber: number; columnNumber: number; exception?: RemoteObject };
}

const say = (kind: string, payload: string): void => {
  const body = Buffer.from(payload);
  const bytes = Buffer.concat([Buffer.from(`${kind} ${body.length}\n`), body]);
  for (let at = 0; at < bytes.length; ) at += writeSync(TO_AGENT, bytes, at);
};

/** Ends what the thread of user code does. Connected no longer than that: a process with a debugger does not exit silently. */
const terminate = (): void => {
  const session = new Session();
  session.connectToMainThread();
  session.post("Runtime.terminateExecution", () => session.disconnect());
};

/** The thread that the agent talks to. */
const serveChannel = (): void => {
  const port = parentPort!;
  let heard = (): void => {};
  port.on("message", () => heard());
  const interrupt = (): void => {
    const timer = setTimeout(terminate, TERMINATE_AFTER_MS);
    heard = () => clearTimeout(timer);
    port.postMessage("interrupt" satisfies Message);
  };
  let buffered: Buffer = Buffer.alloc(0);
  new Socket({ fd: FROM_AGENT, readable: true, writable: false }).on("data", (data: Buffer) => {
    buffered = buffered.length > 0 ? Buffer.concat([buffered, data]) : data;
    for (let end = buffered.indexOf(0x0a); end >= 0; end = buffered.indexOf(0x0a)) {
      const header = buffered.subarray(0, end).toString();
      const split = header.lastIndexOf(" ");
      const bytes = header === "interrupt" ? 0 : Number(header.slice(split + 1));
      if (buffered.length < end + 1 + bytes) return;
      const code = buffered.subarray(end + 1, end + 1 + bytes).toString();
      buffered = buffered.subarray(end + 1 + bytes);
      if (header === "interrupt") interrupt();
      else port.postMessage({ name: header.slice(0, split), code } satisfies Message);
    }
  });
};

/** The thread of user code. */
class Evaluator {
  readonly #session = new Session();
  readonly #holder: { value?: unknown } = {};
  #holderId = "";
  /** Grows with every piece of code: an answer to an earlier one is late. */
  #run = 0;
  #isRunning = false;

  constructor(private readonly isTypeScript: boolean) {
    this.#session.connect();
    process.on("exit", () => this.#session.disconnect()); // else Node waits for a debugger, and says so
    Object.defineProperty(globalThis, "__holder__", { value: this.#holder, configurable: true });
    this.#holderId = this.#post("Runtime.evaluate", { expression: "__holder__" }).result.objectId ?? "";
    Reflect.deleteProperty(globalThis, "__holder__");
  }

  run(name: string, code: string): void {
    const run = ++this.#run;
    this.#isRunning = true;
    defineNames(name);
    let script: Script;
    try {
      script = this.isTypeScript ? stripTypes(code) : { code };
      script.code = rewriteModules(script.code);
    } catch (error) {
      this.#fail(run, name, code, error);
      return;
    }
    const expression = `${script.code}\n//# sourceURL=${name}`;
    const params = { expression, replMode: true, objectGroup: "run" };
    this.#session.post("Runtime.evaluate", params, (error, answer) => {
      if (error) this.#finish(run, INTERRUPTED);
      else void this.#settle(run, name, script, answer as unknown as Evaluated);
    });
  }

  interrupt(): void {
    if (this.#isRunning) this.#finish(this.#run, INTERRUPTED);
  }

  async #settle(run: number, name: string, script: Script, { result, exceptionDetails }: Evaluated): Promise<void> {
    if (run !== this.#run || !this.#isRunning) return;
    const value = this.#unwrap(exceptionDetails?.exception ?? result);
    if (exceptionDetails) {
      const { lineNumber, columnNumber } = exceptionDetails;
      const isUnread = value instanceof SyntaxError && !value.stack?.includes(`${name}:`); // V8 could not even read it
      const where = isUnread ? { line: lineNumber, column: columnNumber } : undefined;
      this.#fail(run, name, script.code, value, where, script);
      return;
    }
    try {
      // A last expression like main() is waited for: its output belongs to this run.
      const shown = value instanceof Promise ? await value : value;
      if (run !== this.#run || !this.#isRunning) return;
      if (shown !== undefined) say("result", inspect(shown).slice(0, RESULT_MAX / 4));
      this.#finish(run, 0);
    } catch (error) {
      this.#fail(run, name, script.code, error, undefined, script);
    }
  }

  #fail(
    run: number,
    name: string,
    code: string,
    error: unknown,
    where?: { line: number; column: number },
    script?: Script,
  ): void {
    if (run !== this.#run || !this.#isRunning) return;
    const line = where && code.split("\n")[where.line];
    const place =
      where && line !== undefined ? `${name}:${where.line + 1}\n${line}\n${" ".repeat(where.column)}^\n\n` : "";
    const text = where
      ? String(error)
      : error instanceof Error
        ? ownFrames(inspect(error))
        : `Uncaught ${inspect(error)}`;
    process.stderr.write(`${place}${script?.toOriginal ? remap(text, name, script.toOriginal) : text}\n`);
    this.#finish(run, 1);
  }

  #finish(run: number, status: number): void {
    if (run !== this.#run || !this.#isRunning) return;
    this.#isRunning = false;
    this.#session.post("Runtime.releaseObjectGroup", { objectGroup: "run" });
    say("done", String(status));
  }

  /** The value itself: the inspector only names it. */
  #unwrap({ objectId, unserializableValue, value }: RemoteObject): unknown {
    const argument = objectId ? { objectId } : unserializableValue ? { unserializableValue } : { value };
    const functionDeclaration = "function (value) { this.value = value; }";
    this.#post("Runtime.callFunctionOn", { objectId: this.#holderId, functionDeclaration, arguments: [argument] });
    const unwrapped = this.#holder.value;
    this.#holder.value = undefined;
    return unwrapped;
  }

  /** On the same thread the answer comes before `post` returns. */
  #post(method: string, params: object): Evaluated {
    let answer: unknown;
    this.#session.post(method, params, (_error, result) => {
      answer = result;
    });
    return answer as Evaluated;
  }
}

const define = (name: string, value: unknown): void => {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true, enumerable: false });
};

/** What a module of that name would find; imports are resolved from the folder that it would stand in. */
const defineNames = (name: string): void => {
  process.argv[1] = name;
  define("__filename", name);
  define("__dirname", dirname(name));
  define("require", createRequire(name));
  define(IMPORT_META, { filename: name, dirname: dirname(name), url: `file://${name}` });
  const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  const importer = new vm.Script("(name, options) => import(name, options)", {
    filename: name,
    importModuleDynamically,
  });
  define(IMPORTER, importer.runInThisContext());
};

/** Without the frames of this program, and of Node.js below it. */
const ownFrames = (text: string): string => {
  let isBelow = false;
  const isShown = (line: string): boolean => {
    if (!/^\s+at /.test(line)) isBelow = false;
    else if (line.includes(__filename) || line.includes("node:inspector")) isBelow = true;
    return !isBelow;
  };
  return text.split("\n").filter(isShown).join("\n");
};

const remap = (text: string, name: string, toOriginal: NonNullable<Script["toOriginal"]>): string =>
  text.replaceAll(/:(\d+):(\d+)(?!\d)/g, (place, line, column, at) => {
    if (!text.slice(0, at).endsWith(name)) return place;
    const original = toOriginal(Number(line), Number(column));
    return `:${original.line}:${original.column}`;
  });

const serve = async (): Promise<void> => {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    const [option] = rest as [string | { type?: string } | undefined];
    const type = typeof option === "object" ? option.type : option;
    if (type !== "ExperimentalWarning") (emitWarning as (...all: unknown[]) => void)(warning, ...rest);
  }) as typeof process.emitWarning;
  const evaluator = new Evaluator(process.argv[2] === "typescript");
  const thread = new Worker(__filename);
  thread.on("message", (message: Message) => {
    if (message !== "interrupt") return evaluator.run(message.name, message.code);
    thread.postMessage("heard");
    evaluator.interrupt();
  });
  process.on("SIGINT", () => {}); // meant for what the code has started
  process.on("uncaughtException", (error) => process.stderr.write(`Uncaught ${ownFrames(inspect(error))}\n`));
};

if (isMainThread) void serve();
else serveChannel();
