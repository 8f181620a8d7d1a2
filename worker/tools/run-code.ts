import { type LANGUAGES, OUTPUT_BYTES } from "../../shared/catalog/index.ts";
import { OutputWindow } from "../session/output-window.ts";
import type { CallContext, Executor } from "../session/owned-session.ts";
import type { ProcessEnd } from "../session/process-recorder.ts";
import { describeEnded, outputWindows } from "./describe-process.ts";
import { DEFAULT_TIMEOUT_MS, untilEnd } from "./foreground.ts";

interface CodeArguments {
  language: (typeof LANGUAGES)[number];
  code?: string;
  context: string;
  reset: boolean;
  interrupt: boolean;
  timeout_ms?: number;
}

/** Runs code in an interpreter that keeps its state. Code that fails is a normal result, with the traceback in stderr. */
export const runCode: Executor = async (rawArgs, call) => {
  const args = rawArgs as unknown as CodeArguments;
  if (args.code === undefined) return await stopCode(args, call);
  const windows = outputWindows(OUTPUT_BYTES.default);
  const { language, code, context, reset, timeout_ms: timeoutMs = DEFAULT_TIMEOUT_MS } = args;
  const spec = { language, code, context, reset, timeoutMs: BigInt(timeoutMs) };
  const begun = call.workspace.begin(call.callId); // it is recorded before its output, which takes the same connection
  begun.catch(() => {}); // awaited below
  const started = await call.workspace.runCode(call.callId, spec, windows);
  await begun;
  const ended = await untilEnd(started.end, call);
  return { ...(await describeEnded(ended, windows, started, call)), ...describeCode(ended, context) };
};

/** `interrupt`, or `reset` without code. */
const stopCode = async ({ language, context, reset }: CodeArguments, { workspace }: CallContext) => {
  const sandbox = await workspace.sandbox();
  const { wasRunning, isStateLost } = await sandbox.stopCode({ language, context, reset });
  if (reset) return { status: "reset" };
  const lost = isStateLost ? { notice: `Its code did not heed the interrupt: context "${context}" starts anew.` } : {};
  return { status: wasRunning ? "interrupted" : "idle", ...lost };
};

const describeCode = (ended: ProcessEnd, context: string): Record<string, unknown> => {
  const { result = "", images = [], droppedImages = 0, isStateLost = false } = ended.code ?? {};
  const shown = new OutputWindow(OUTPUT_BYTES.default);
  shown.push(Buffer.from(result));
  const notices = [
    ...(isStateLost
      ? [`The interpreter of context "${context}" ended, its state is gone; the next code starts a new one.`]
      : []),
    ...(!isStateLost && ended.signal === "SIGINT"
      ? [`The code was interrupted; context "${context}" keeps its state.`]
      : []),
    ...(droppedImages > 0 ? [`${droppedImages} images were left out: they are too large together.`] : []),
    ...(ended.outOfMemory ? ["The session's memory limit was reached while it ran: processes were killed."] : []),
  ];
  return {
    ...(result ? { result: shown.text("print a part of it") } : {}),
    ...(images.length > 0 ? { images: images.map((png) => ({ mime: "image/png", data: toBase64(png) })) } : {}),
    ...(notices.length > 0 ? { notice: notices.join(" ") } : {}),
  };
};

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
